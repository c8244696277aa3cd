# SPDX-License-Identifier: Apache-2.0
"""Runs every test program and counts its cases; tools/test calls it.

Two kinds of programs: Catch2 executables that meson has registered, whose cases are read from Catch2's XML report, and others
(those that meson has registered and every tests/**/*_test.py), which print `ok NAME`, `FAIL NAME why` or `SKIP NAME reason`.
A program that crashes, overruns its time or reports nothing counts as one failed case; so does a skip that
tests/allowed-skips does not name.
"""
import argparse
import concurrent.futures
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as xml
from dataclasses import dataclass, field
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
SCRIPT_TIMEOUT = 300  # seconds; a script says otherwise in a line "# timeout: SECONDS"
TERM_GRACE = 20  # seconds between SIGTERM, on which a script takes its namespaces down, and SIGKILL


@dataclass
class Program:
    name: str
    command: list
    timeout: int
    catch2: bool
    slow: bool  # left out of a quick run
    alone: bool = False
    env: dict = field(default_factory=dict)
    cwd: str = str(TOP)


@dataclass
class Outcome:
    program: Program
    passed: list = field(default_factory=list)
    failed: list = field(default_factory=list)  # (name, why)
    skipped: list = field(default_factory=list)  # (name, reason)
    seconds: float = 0.0


def is_catch2(path):
    """An executable that holds Catch2's XML reporter; any other program prints lines."""
    try:
        data = Path(path).read_bytes()
    except OSError:
        return False
    return data[:4] == b"\x7fELF" and b"OverallResult" in data


def registered_programs(build):
    """What meson knows. A quick run takes the tests of the suite `e2e` out."""
    listed = subprocess.run(["meson", "introspect", "--tests", str(build)], check=True, capture_output=True, text=True)
    for test in json.loads(listed.stdout):
        suites = {s.rpartition(":")[2] for s in test["suite"]}
        yield Program(test["name"], test["cmd"], test["timeout"], is_catch2(test["cmd"][0]), "e2e" in suites,
                      not test.get("is_parallel", True), dict(test["env"]), test["workdir"] or str(TOP))


def script_programs(known):
    """Scripts of the test folders that meson does not know."""
    for path in sorted((TOP / "tests").rglob("*_test.py")):
        if str(path) in known:
            continue
        head = path.read_text(encoding="utf-8")[:1000]
        wanted = re.search(r"^# timeout: (\d+)$", head, re.M)
        place = path.relative_to(TOP / "tests")
        yield Program(str(place.with_suffix("")), ["/usr/bin/python3", str(path)], int(wanted[1]) if wanted else SCRIPT_TIMEOUT,
                      False, place.parts[0] in ("e2e", "guards"), "# alone\n" in head)


def all_programs(build):
    programs = list(registered_programs(build))
    known = {os.path.realpath(word) for p in programs for word in p.command}
    return programs + list(script_programs(known))


def stop(process):
    """Ends what is left of a program's process group, gently first."""
    for kill, grace in ((signal.SIGTERM, TERM_GRACE), (signal.SIGKILL, 5)):
        try:
            os.killpg(process.pid, kill)
        except ProcessLookupError:
            return
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            continue


def execute(program, command, log, build):
    """Runs it with output in `log`/output and `log`/errors; returns (exit code, or None when it overran; standard output)."""
    env = {**os.environ, **program.env, "SLUICE_BUILD": str(build), "SLUICE_LOGS": str(log),
           "PYTHONPATH": os.pathsep.join([str(TOP / "tests"), str(TOP / "tests/e2e")]), "PYTHONDONTWRITEBYTECODE": "1"}
    with open(log / "output", "wb") as output, open(log / "errors", "wb") as errors:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=env, cwd=program.cwd,
                                   start_new_session=True)
        with RUNNING_LOCK:
            RUNNING.add(process)
        try:
            code = process.wait(program.timeout)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            stop(process)
            with RUNNING_LOCK:
                RUNNING.discard(process)
    return code, (log / "output").read_text(errors="replace")


RUNNING = set()
RUNNING_LOCK = threading.Lock()


def failure_text(element):
    """The first thing that went wrong in a Catch2 test case, in a line."""
    for found in element.iter():
        if found.tag == "Expression" and found.get("success") == "false":
            expanded = (found.findtext("Expanded") or "").strip()
            original = (found.findtext("Original") or "").strip()
            return " ".join(f"{found.get('filename')}:{found.get('line')}: {original} with {expanded}".split())
        if found.tag in ("Failure", "FatalErrorCondition", "Exception"):
            return " ".join(f"{found.get('filename', '')}:{found.get('line', '')}: {found.text or found.tag}".split())
    return "failed"


def read_catch2(report, outcome):
    """Counts the test cases of a report. A report that breaks off leaves its last case failed."""
    began = None
    try:
        for event, element in xml.iterparse(report, events=("start", "end")):
            if element.tag != "TestCase":
                continue
            if event == "start":
                began = element.get("name")
                continue
            began = None
            result = element.find("OverallResult")
            if result is not None and result.get("success") == "true":
                outcome.passed.append(element.get("name"))
            else:
                outcome.failed.append((element.get("name"), failure_text(element)))
            element.clear()
    except (xml.ParseError, OSError) as error:
        outcome.failed.append((began or "(report)", f"the report breaks off: {error}"))


def read_lines(output, outcome):
    for line in output.splitlines():
        word, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        if word == "ok" and rest:
            outcome.passed.append(rest)
        elif word in ("FAIL", "SKIP") and rest:
            (outcome.failed if word == "FAIL" else outcome.skipped).append((rest, ""))


def run(program, case, build, logs):
    """Runs one program and reads its counts."""
    log = logs / program.name.replace("/", "_")
    shutil.rmtree(log, ignore_errors=True)
    log.mkdir(parents=True)
    outcome = Outcome(program)
    started = time.monotonic()
    command = list(program.command)
    if program.catch2:
        command += ["-r", "xml", "-o", str(log / "report.xml")] + ([f"*{case}*"] if case else [])
    elif case:
        command += [case]
    code, output = execute(program, command, log, build)
    if program.catch2:
        read_catch2(log / "report.xml", outcome)
    else:
        read_lines(output, outcome)
    if code is None:
        outcome.failed.append(("(program)", f"still running after {program.timeout} s"))
    elif code != 0 and not outcome.failed:
        outcome.failed.append(("(program)", f"exit code {code} without a failed case"))
    elif not (outcome.passed or outcome.failed or outcome.skipped or case):
        outcome.failed.append(("(program)", "ran no test case"))
    outcome.seconds = time.monotonic() - started
    return outcome


def allowed_skips():
    lines = (TOP / "tests/allowed-skips").read_text(encoding="utf-8").splitlines()
    return {line.strip() for line in lines if line.strip() and not line.startswith("#")}


def settle(outcome, allowed, logs, keep):
    """Turns unlisted skips into failures, prints the program's line, drops the logs of what passed."""
    for name, reason in list(outcome.skipped):
        if f"{outcome.program.name}: {name}" not in allowed:
            outcome.skipped.remove((name, reason))
            outcome.failed.append((f"skipped, and tests/allowed-skips does not name it: {name}", reason))
    log = logs / outcome.program.name.replace("/", "_")
    counts = f"{len(outcome.passed)} passed" + (f", {len(outcome.failed)} failed" if outcome.failed else "")
    counts += f", {len(outcome.skipped)} skipped" if outcome.skipped else ""
    print(f"{'FAIL' if outcome.failed else 'ok':4} {outcome.program.name}: {counts} ({outcome.seconds:.1f} s)", flush=True)
    for name, why in outcome.failed:
        print(f"       {name}{': ' if why else ''}{why}")
    for name, _ in outcome.skipped:
        print(f"       skipped: {name}")
    if outcome.failed:
        print(f"       log: {log}", flush=True)
    elif not keep:
        shutil.rmtree(log, ignore_errors=True)


def run_group(programs, jobs, case, build, logs, keep, allowed):
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for future in concurrent.futures.as_completed([pool.submit(run, p, case, build, logs) for p in programs]):
            outcome = future.result()
            settle(outcome, allowed, logs, keep)
            yield outcome


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True, type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--keep-logs", action="store_true")
    return parser.parse_args()


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    name_pattern, _, case = args.only.partition(":")
    programs = [p for p in all_programs(args.build) if re.search(name_pattern, p.name) and not (args.quick and p.slow)]
    if any(p.slow and not p.name.startswith("guards/") for p in programs) and os.geteuid() != 0:
        print("run_all: the end-to-end tests need root; --quick leaves them out", file=sys.stderr)
        return 1
    logs = args.build / "testlog"
    logs.mkdir(parents=True, exist_ok=True)
    allowed = allowed_skips()
    outcomes = []
    groups = [[p for p in programs if not p.slow and not p.alone], [p for p in programs if p.slow and not p.alone]]
    groups += [[p] for p in programs if p.alone]
    try:
        for group in groups:
            outcomes += run_group(group, 2, case, args.build, logs, args.keep_logs, allowed)
    except (KeyboardInterrupt, SystemExit):
        with RUNNING_LOCK:
            left = list(RUNNING)
        for process in left:
            stop(process)
        raise
    passed, failed, skipped = (sum(len(getattr(o, kind)) for o in outcomes) for kind in ("passed", "failed", "skipped"))
    if not programs:
        print("run_all: nothing matches", file=sys.stderr)
        failed += 1
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
