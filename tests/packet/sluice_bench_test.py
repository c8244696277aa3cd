#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""sluice-bench as a person runs it: a short run of each command, the form of what it writes, and what it says to a command
line that makes no sense. No time is judged."""
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from script import Skip, case, check, check_equal, main  # noqa: E402

TOOL = Path(os.environ.get("SLUICE_BUILD", "build")) / "apps/sluice-bench"
FACTS = {"cpu", "cores", "worker_cpus", "tsc_hz", "memory", "kernel", "sluice", "dpdk", "ipsec_mb", "openssl", "compiler", "code_path",
         "options"}
ROW = {"aead": str, "direction": str, "sas": int, "inner_bytes": int, "burst": int, "workers": int, "cycles_per_packet": float,
       "mpps": float, "gbps": float, "limit_cycles_per_packet": float}


def run(*arguments):
    return subprocess.run([str(TOOL), *arguments], capture_output=True, text=True)


def good(*arguments):
    done = run(*arguments)
    check_equal(done.returncode, 0, done.stderr)
    return done.stdout


@case("esp: a row for each combination; JSON in its form; facts about the machine", timeout=300)
def esp_rows():
    with tempfile.TemporaryDirectory() as folder:
        path, page = f"{folder}/out.json", f"{folder}/out.html"
        table = good("esp", "--aead", "aes128gcm16,aes128-sha256", "--size", "64,300", "--sas", "1,40", "--burst", "8", "--repeat", "1",
                     "--outer", "6", "--encap", "udp", "--json", path, "--html", page)
        report = json.loads(Path(path).read_text(encoding="utf-8"))
        html = Path(page).read_text(encoding="utf-8")
    check_equal(set(report["machine"]), FACTS)
    check("--sas 1,40" in report["machine"]["options"], report["machine"])
    rows = report["results"]
    seen = {(r["aead"], r["direction"], r["sas"], r["inner_bytes"], r["burst"], r["workers"]) for r in rows}
    wanted = {(a, d, s, b, 8, 1) for a in ("aes128gcm16", "aes128-sha256") for d in ("out", "in") for s in (1, 40) for b in (64, 300)}
    check_equal(seen, wanted)
    check_equal(len(rows), len(wanted))
    for row in rows:
        for key, kind in ROW.items():
            check(isinstance(row[key], kind), f"{key}: {row[key]!r}")
        check(row["outer"] == 6 and row["encap"] == "udp" and row["samples"], row)
        check(abs(row["gbps"] - row["mpps"] * row["inner_bytes"] * 8 / 1000) <= 0.001 * row["gbps"] + 0.001, row)
    for name in FACTS:
        check(re.search(rf"^{name} ", table, re.M), f"{name} is not printed")
    check_equal(len(re.findall(r"^aes128\S* +(?:out|in) ", table, re.M)), len(rows))
    judge_page(html)


def judge_page(html):
    check(html.startswith("<!DOCTYPE html>") and html.rstrip().endswith("</html>"), "not a whole page")
    outside = re.findall(r"(?:src|href|url|import|<script|<link|@font-face|https?:)[^\s>]{0,30}", html)
    check(not outside, f"the page needs {outside}")
    check_equal(html.count("<svg"), html.count("</svg>"))
    # Four curves over size (algorithm, direction), four over SAs, one with the bars.
    check_equal(html.count("<svg"), 9)
    check("NaN" not in html and "nan" not in html and "inf\"" not in html, "a number is none")
    check_equal(html.count("<tr><td>"), 16)


@case("control: rates, memory and cost are written; the traffic was right before and after", timeout=300)
def control():
    if len(os.sched_getaffinity(0)) < 2:
        raise Skip("needs two CPUs")
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/out.json"
        good("control", "--sas", "8", "--added", "50", "--changes", "200", "--repeat", "2", "--json", path)
        report = json.loads(Path(path).read_text(encoding="utf-8"))
    check_equal(set(report["machine"]), FACTS)
    c = report["control"]
    for key in ("adds_per_second", "removes_per_second", "bytes_per_sa", "changes_per_second", "cycles_without", "cycles_with"):
        check(c[key] > 0, f"{key}: {c[key]}")
    check(c["cost_low"] <= c["cost"] <= c["cost_high"], c)


@case("pcap: the whole gateway runs between net_pcap and net_null, its frames being right", timeout=300)
def pcap():
    if os.geteuid() != 0:
        raise Skip("needs root")
    for direction in ("out", "in"):
        with tempfile.TemporaryDirectory() as folder:
            path, frames = f"{folder}/out.json", f"{folder}/frames.pcap"
            good("pcap", "--direction", direction, "--sas", "3", "--seconds", "1", "--repeat", "1", "--json", path, "--pcap", frames)
            report = json.loads(Path(path).read_text(encoding="utf-8"))
            check(Path(frames).stat().st_size > 4096 * 64, "no frames are left")
        check_equal(report["pcap"]["direction"], direction)
        check(report["pcap"]["gateway_pps"][0] > 0 and report["pcap"]["cycles_per_packet"] > 0, report)


@case("a command line that makes no sense: exit 2, and the message names it")
def usage():
    wrong = {
        ("esp", "--aead", "foo"): "foo", ("esp", "--aead", "aes128"): "aes128", ("esp", "--size", "27"): "27",
        ("esp", "--size", "9001"): "9001", ("esp", "--size", "x"): "--size", ("esp", "--sas", "0"): "sas",
        ("esp", "--burst", "65"): "burst", ("esp", "--burst", ","): "--burst", ("esp", "--direction", "up"): "up",
        ("esp", "--outer", "5"): "--outer", ("esp", "--encap", "tcp"): "tcp", ("esp", "--workers", "0"): "workers",
        ("esp", "--workers", "16"): "16", ("esp", "--cpu", "4095"): "4095", ("esp", "--repeat", "0"): "--repeat",
        ("esp", "--window", "65537"): "window", ("esp", "--nonsense",): "nonsense", ("esp", "stray"): "esp",
        ("control", "--sas", "0"): "--sas", ("control", "--repeat", "1"): "--repeat", ("control", "--aead", "foo"): "foo",
        ("pcap", "--sas", "4097"): "--sas", ("pcap", "--direction", "up"): "up", ("pcap", "--size", "1401"): "--size",
        ("nothing",): "nothing", (): "usage",
    }
    for arguments, word in wrong.items():
        done = run(*arguments)
        check_equal(done.returncode, 2, f"{arguments}: {done.stderr}")
        check(word in done.stderr, f"{arguments}: {done.stderr}")


@case("--help of every command, and --version")
def help_texts():
    for command in ("esp", "control", "pcap"):
        check("--aead" in good(command, "--help"), command)
    check("COMMAND" in good("--help"), "usage")
    check(good("--version").startswith("sluice-bench "), "version")


if __name__ == "__main__":
    main()
