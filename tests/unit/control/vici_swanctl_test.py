#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A real swanctl against the daemon's VICI server with canned views: codec, framing, event streams and field names are
strongSwan's if its own tool prints what was put in."""
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))
from script import case, check, check_equal, main  # noqa: E402

SERVER = Path(os.environ.get("SLUICE_BUILD", "build")) / "tests/unit/control/vici-canned-server"
STATE = {}


def set_up():
    STATE["directory"] = tempfile.mkdtemp(prefix="sluice-swanctl-")
    STATE["uri"] = f"unix://{STATE['directory']}/vici"
    STATE["server"] = subprocess.Popen([SERVER, STATE["uri"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    check_equal(STATE["server"].stdout.readline(), "listening\n", "canned server")


def tear_down():
    if "server" in STATE:
        STATE["server"].stdin.close()
        STATE["server"].wait(timeout=10)
    if "directory" in STATE:
        shutil.rmtree(STATE["directory"])


def swanctl(*arguments):
    done = subprocess.run(["swanctl", *arguments, "--uri", STATE["uri"]], capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout, done.stderr


@case("swanctl --list-sas prints our SAs")
def list_sas():
    code, out, err = swanctl("--list-sas")
    check_equal((code, err), (0, ""))
    for line in (
        "carol: #3, ESTABLISHED, IKEv2, 0102030405060708_i a1a2a3a4a5a6a7a8_r*",
        "  local  'moon.sluice.test' @ 192.0.2.1[4500]",
        "  remote 'carol@sluice.test' @ 198.51.100.9[61234]",
        "  AES_CBC-128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/CURVE_25519",
        "  established 100s ago, rekeying in 13000s, reauth in 86000s",
        "  net: #7, reqid 5, INSTALLED, TUNNEL-in-UDP, ESP:AES_GCM_16-256/ESN",
        "    installed 90s ago, expires in 510s",
        "    in  c1020304,   1008 bytes,    12 packets,     4s ago",
        "    out 00a0b0c0,      0 bytes,     0 packets",
        "    local  10.1.0.0/24 10.3.0.0/24",
        "    remote 10.2.0.0/24",
    ):
        check(line in out.splitlines(), f"no line {line!r} in {out!r}")
    check("(null)" not in out, out)
    check_equal(swanctl("--list-sas", "--child", "other"), (0, "", ""))


@case("swanctl --list-conns prints our connections")
def list_conns():
    code, out, err = swanctl("--list-conns")
    check_equal((code, err), (0, ""))
    for line in (
        "carol: IKEv2, no reauthentication, no rekeying, dpd delay 30s",
        "  local:  192.0.2.1",
        "  remote: %any",
        "  local pre-shared key authentication:",
        "    id: moon.sluice.test",
        "  net: TUNNEL, no rekeying, dpd action is start",
        "  lan: PASS, no rekeying, dpd action is none",
    ):
        check(line in out.splitlines(), f"no line {line!r} in {out!r}")
    check("(null)" not in out, out)


@case("swanctl --stats and --version print ours")
def stats():
    code, out, _ = swanctl("--stats")
    check_equal(code, 0)
    check("uptime: 3 hours, since " in out and "IKE_SAs: 4 total, 1 half-open" in out, out)
    code, out, _ = swanctl("--version", "--daemon")
    check_equal(code, 0)
    check("sluiced" in out, out)


@case("swanctl --initiate and --terminate see progress and outcome")
def initiate():
    check_equal(swanctl("--initiate", "--child", "net"), (0, "[IKE] initiating carol\ninitiate completed successfully\n", ""))
    check_equal(swanctl("--terminate", "--ike", "carol"), (0, "[IKE] initiating carol\nterminate completed successfully\n", ""))
    code, _, err = swanctl("--initiate", "--child", "nets")
    check(code != 0, "a child that is not there was initiated")
    check("CHILD_SA config 'nets' not found" in err, err)


@case("swanctl --rekey names children and IKE SAs, and --reauth")
def rekey():
    for words in (("--child", "net"), ("--ike", "carol"), ("--ike", "carol", "--reauth"), ("--ike-id", "3"), ("--child-id", "7")):
        code, out, err = swanctl("--rekey", *words)
        check_equal((code, err), (0, ""), str(words))
        check("rekey completed successfully" in out, out)
    code, _, err = swanctl("--rekey", "--child", "net", "--reauth")
    check(code != 0 and "not about children" in err, err)


main(before=set_up, after=tear_down)
