# SPDX-License-Identifier: Apache-2.0
"""Arguments in, report out."""
import argparse
import json
import sys
from collections import Counter

from . import __doc__ as PURPOSE
from . import keys, policy
from .audit import Audit
from .capture import BadCapture

_SHOWN = 10  # violations of a kind in the report for people


def _print(report):
    for item in report["captures"]:
        print(f"{item['name']} ({item['side']}): {item['frames']} frames, {item['esp']} ESP, {item['ike']} encrypted IKE")
    for flow in report["flows"]:
        print(f"  {flow['capture']}: {flow['src']} SPI {flow['spi']} {flow['transform']}: {flow['packets']} packets, "
              f"{flow['reordered']} out of order, displaced by {flow['max_displacement']} at most")
    for direction, count in report["protected"].items():
        print(f"protected, {direction}: {count['entered']} entered, {count['left']} left, {count['missing']} missing")
    if report["drops"]:
        print("drop counters:", ", ".join(f"{reason} {count}" for reason, count in sorted(report["drops"].items())))
    shown = Counter()
    for violation in report["violations"]:
        shown[violation["kind"]] += 1
        if shown[violation["kind"]] <= _SHOWN:
            print(f"VIOLATION {violation['kind']} {violation['where']} {violation['text']}")
    for kind, count in Counter(v["kind"] for v in report["allowed"]).items():
        print(f"allowed: {count} of {kind}")
    print("no violation" if report["ok"] else f"{len(report['violations'])} violations")


def main():
    parser = argparse.ArgumentParser(prog="wire-audit", description=PURPOSE, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("captures", nargs="+", metavar="CAPTURE")
    parser.add_argument("--keys", required=True, metavar="KEYLOG")
    parser.add_argument("--policy", required=True, metavar="FILE")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    args = parser.parse_args()
    try:
        audit = Audit(keys.read(args.keys), policy.read(args.policy))
        for path in args.captures:
            audit.read(path)
        audit.account()
    except (BadCapture, keys.BadKeyLog, policy.BadPolicy, OSError, ValueError) as error:
        print(f"wire-audit: {error}", file=sys.stderr)
        return 2
    report = audit.report()
    if args.json:
        print(json.dumps(report, indent=1))
    else:
        _print(report)
    return 0 if report["ok"] else 1
