#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The whole dataplane over veth pairs (packet-veth, in a namespace of its own), with one worker and with two."""
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("SLUICE_BUILD", os.path.join(TOP, "build"))
TIMEOUT = 120  # seconds for one run


def run(workers):
    """Passes the program's cases on, each with the number of workers in its name; whether all were ok."""
    program = os.path.join(BUILD, "tests", "packet", "packet-veth")
    done = subprocess.run([program, str(workers)], capture_output=True, text=True, timeout=TIMEOUT)
    cases = 0
    good = done.returncode == 0
    for line in done.stdout.splitlines():
        verdict, _, what = line.strip().partition(" ")
        if verdict not in ("ok", "FAILED"):
            print(line, file=sys.stderr)
            continue
        cases += 1
        good = good and verdict == "ok"
        print(f"ok {workers} worker(s): {what.strip()}" if verdict == "ok" else f"FAIL {workers} worker(s): {what.strip()}")
    if cases == 0 or (done.returncode != 0 and good):
        print(f"FAIL {workers} worker(s): the program ended with {done.returncode} after {cases} cases")
        good = False
    print(done.stderr, file=sys.stderr)
    return good


sys.exit(0 if all([run(1), run(2)]) else 1)
