# SPDX-License-Identifier: Apache-2.0
"""Compares two builds of sluice-bench: runs them in turn (A B, B A, ...) with the same arguments and prints, for every row of
their tables, how many cycles B takes for one of A's.

A machine's clock drifts by more than what is to be seen, so only runs that stand side by side are compared: each pair gives
one ratio, and what is printed is the geometric mean of the pairs' ratios with its 95 % interval (Student's t over their
logarithms). "by limit" is the same after each run was divided by its own measurement of IPsec-MB alone: where both ratios
agree, the clock was steady. An interval that holds 1 shows no difference.

    bench-compare --pairs 12 build-old/apps/sluice-bench build/apps/sluice-bench -- esp --sas 1 --size 64 --repeat 10
"""
import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile

KEY = ("aead", "direction", "sas", "inner_bytes", "burst", "workers", "outer", "encap")

# Student's t, two-sided 95 %, for 1, 2, ... degrees of freedom; beyond the table the normal value is close enough.
STUDENT_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
             2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)


class Failed(Exception):
    """A run that gave no results; the text says why."""


def interval(ratios):
    """(geometric mean, low, high) of positive ratios, two at least."""
    logs = [math.log(r) for r in ratios]
    mean = statistics.fmean(logs)
    degrees = len(logs) - 1
    t = STUDENT_T[degrees - 1] if degrees <= len(STUDENT_T) else 1.96
    half = t * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)


def run_once(program, arguments):
    """{key of a row: (cycles, cycles by the limit)} of one run."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "out.json")
        done = subprocess.run([program, *arguments, "--json", path], capture_output=True, text=True)
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
            raise Failed(f"{program}: exit {done.returncode}: {last}")
        with open(path, encoding="utf-8") as file:
            results = json.load(file)["results"]
    rows = {}
    for r in results:
        cycles, limit = r["cycles_per_packet"], r.get("limit_cycles_per_packet") or 0
        rows[tuple(r.get(k) for k in KEY)] = (cycles, cycles / limit if limit else None)
    return rows


def run_pairs(a, b, arguments, pairs, said=lambda text: None):
    """{key: [(A's, B's), ...]}; the order within a pair alternates."""
    table = {}
    for pair in range(pairs):
        order = (a, b) if pair % 2 == 0 else (b, a)
        said(f"pair {pair + 1} of {pairs}")
        first, second = (run_once(program, arguments) for program in order)
        of_a, of_b = (first, second) if pair % 2 == 0 else (second, first)
        if of_a.keys() != of_b.keys():
            raise Failed("the two programs measured different rows")
        for key in of_a:
            table.setdefault(key, []).append((of_a[key], of_b[key]))
    return table


def line_of(key, pairs):
    cycles_a = statistics.median(a[0] for a, _ in pairs)
    cycles_b = statistics.median(b[0] for _, b in pairs)
    text = f"{' '.join(str(k) for k in key):44} {cycles_a:9.1f} {cycles_b:9.1f}   "
    text += "%.4f [%.4f, %.4f]" % interval([b[0] / a[0] for a, b in pairs])
    if all(a[1] and b[1] for a, b in pairs):
        text += "   %.4f [%.4f, %.4f]" % interval([b[1] / a[1] for a, b in pairs])
    return text


def parse(arguments):
    split = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(prog="bench-compare", usage="bench-compare [--pairs N] A B -- ARGUMENT...",
                                     description=__doc__.split("\n\n")[0])
    parser.add_argument("a", help="a sluice-bench")
    parser.add_argument("b", help="another one")
    parser.add_argument("--pairs", type=int, default=10, help="how often both are run (default 10)")
    options = parser.parse_args(arguments[:split])
    if options.pairs < 2:
        parser.error("--pairs: an interval needs two pairs at least")
    rest = arguments[split + 1:]
    return options, rest or ["esp", "--repeat", "10"]


def main(arguments):
    options, rest = parse(arguments)
    try:
        table = run_pairs(options.a, options.b, rest, options.pairs, lambda text: print(text, file=sys.stderr))
    except (Failed, OSError) as error:
        print(f"bench-compare: {error}", file=sys.stderr)
        return 1
    print(f"{'row: ' + ' '.join(KEY):44}\n{'':44} {'A cyc':>9} {'B cyc':>9}   B/A [95 %]                B/A by limit [95 %]")
    for key, pairs in table.items():
        print(line_of(key, pairs))
    return 0
