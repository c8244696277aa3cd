#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tools/bench-compare: its interval, its pairs, and what it says of programs that fail. The programs are stand-ins."""
import math
import random
import subprocess
import sys
import tempfile
from pathlib import Path

TOP = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(TOP / "tests"))
sys.path.insert(0, str(TOP / "tools"))
from script import case, check, check_equal, main  # noqa: E402
from bench_compare import interval, run_pairs  # noqa: E402

# Writes what sluice-bench would: cycles that go up by a tenth with every run of either program, times a factor of its own.
STAND_IN = """#!/usr/bin/python3
import json, sys
from pathlib import Path
counter = Path({counter!r})
runs = int(counter.read_text()) if counter.exists() else 0
counter.write_text(str(runs + 1))
clock = 1.1 ** runs
row = {{"aead": "aes128gcm16", "direction": "out", "sas": 1, "inner_bytes": 64, "burst": 64, "workers": 1, "outer": 4, "encap": "none",
       "cycles_per_packet": {factor} * 100 * clock, "limit_cycles_per_packet": 50 * clock}}
assert sys.argv[1:-2] == ["esp", "--size", "64"], sys.argv
Path(sys.argv[-1]).write_text(json.dumps({{"machine": {{}}, "results": [row]}}))
"""


def stand_in(folder, name, factor):
    path = Path(folder) / name
    path.write_text(STAND_IN.format(counter=str(Path(folder) / "runs"), factor=factor))
    path.chmod(0o755)
    return str(path)


def tool(*arguments):
    return subprocess.run([str(TOP / "tools/bench-compare"), *arguments], capture_output=True, text=True)


@case("The interval is Student's: known values")
def known_interval():
    # Logarithms -0.1, 0, 0.1: deviation 0.1, t(2) = 4.303, half width 4.303 * 0.1 / sqrt(3).
    mean, low, high = interval([math.exp(-0.1), 1.0, math.exp(0.1)])
    check(abs(mean - 1) < 1e-9, mean)
    check(abs(math.log(high) - 0.24843) < 1e-4 and abs(math.log(low) + 0.24843) < 1e-4, (low, high))


@case("The interval holds the truth in about 95 of 100 trials")
def coverage():
    seed = 20261128
    print(f"seed {seed}", file=sys.stderr)
    rng = random.Random(seed)
    held = 0
    for _ in range(2000):
        _, low, high = interval([math.exp(rng.gauss(math.log(1.03), 0.05)) for _ in range(10)])
        held += low <= 1.03 <= high
    check(1860 <= held <= 1940, f"{held} of 2000")


@case("Runs alternate, so that a clock that drifts one way favours neither")
def drift():
    with tempfile.TemporaryDirectory() as folder:
        a, b = stand_in(folder, "a", 1.0), stand_in(folder, "b", 1.05)
        (pairs,) = run_pairs(a, b, ["esp", "--size", "64"], 4).values()
    mean, low, high = interval([b[0] / a[0] for a, b in pairs])
    check(abs(mean - 1.05) < 1e-6 and low < 1.05 < high, (mean, low, high))
    by_limit = interval([b[1] / a[1] for a, b in pairs])
    check(all(abs(v - 1.05) < 1e-9 for v in by_limit), by_limit)


@case("The tool prints one line a row, and names a program that fails")
def command_line():
    with tempfile.TemporaryDirectory() as folder:
        a, b = stand_in(folder, "a", 1.0), stand_in(folder, "b", 1.05)
        done = tool("--pairs", "2", a, b, "--", "esp", "--size", "64")
        check_equal(done.returncode, 0, done.stderr)
        check("aes128gcm16 out 1 64 64 1 4 none" in done.stdout and "1.0500 [" in done.stdout, done.stdout)
        done = tool("--pairs", "2", a, "/bin/false", "--", "esp", "--size", "64")
        check_equal(done.returncode, 1)
        check("/bin/false: exit 1" in done.stderr, done.stderr)
    check_equal(tool("--pairs", "1", "a", "b").returncode, 2)
    check_equal(tool("a").returncode, 2)


if __name__ == "__main__":
    main()
