# SPDX-License-Identifier: Apache-2.0
"""What `tools/soak rekey` runs once it has built."""
import argparse
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests/e2e")]
from lab import rekeying
from lab.slots import Slots


def main():
    parser = argparse.ArgumentParser(prog="soak rekey")
    parser.add_argument("--count", type=int, default=200, help="rekeyings of each kind from each side")
    count = parser.parse_args().count
    world = Slots(rekeying.SLOTS)
    try:
        rekeying.begin(world)
        drops = world.daemon.drops()
        outcomes = []
        for kind in rekeying.KINDS:
            for side in rekeying.SIDES:
                outcomes.append(rekeying.rekey_under_flow(world, kind, side, count))
                print(outcomes[-1].text(), flush=True)
        faults = rekeying.faults(world, outcomes, drops)
        world.end_audit(sum(one.sent for one in outcomes))
        print("nothing crossed in clear, no IV and no sequence number came twice")
    finally:
        world.close()
    for fault in faults:
        print("FAILED:", fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
