# SPDX-License-Identifier: Apache-2.0
# timeout: 200
"""tools/demo: plays to its end, cleans up after Ctrl-C, and takes down what --keep has left."""
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]
from lab.net import run
from lab.topology import leftovers
from script import case, check, check_equal, main, wait_for

PREFIX = f"sd{os.getpid()}-"
DEMO = [str(Path(__file__).resolve().parents[2] / "tools/demo")]
ENV = {**os.environ, "SLUICE_DEMO_PREFIX": PREFIX}
if "SLUICE_BUILD" in os.environ:
    ENV["BUILD_DIR"] = os.environ["SLUICE_BUILD"]


def nothing_left():
    check_equal(leftovers(PREFIX), [], "namespaces")
    left = [p for p in run(["ps", "-eo", "stat,args"]).stdout.splitlines() if PREFIX in p and not p.startswith("Z") and "ps -eo" not in p]
    check_equal(left, [], "processes")


@case("the demo plays: both initiate, throughput is shown, every step is ok, nothing is left", timeout=90)
def plays():
    started = time.monotonic()
    done = subprocess.run(DEMO, capture_output=True, text=True, env=ENV, timeout=80, check=False)
    check_equal(done.returncode, 0, done.stdout + done.stderr)
    check_equal(done.stdout.count("Mbit/s"), 2, done.stdout)
    check("FAILED" not in done.stdout and "ESTABLISHED" in done.stdout and "sluice_worker_esp_" in done.stdout, done.stdout)
    print(f"{time.monotonic() - started:.1f} s", file=sys.stderr)
    nothing_left()


@case("Ctrl-C in the middle cleans up", timeout=60)
def interrupted():
    process = subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENV, start_new_session=True)
    said = ""
    while "iperf3 carol" not in said:
        piece = process.stdout.read(1)
        check(piece, f"it ended early: {said}")
        said += piece
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)  # an impatient second one
    process.communicate(timeout=40)
    check_equal(process.returncode, 130, "exit code")
    nothing_left()


@case("--keep leaves it running, --down takes it down", timeout=90)
def kept():
    # To a file: what keeps running must not hold our pipe open.
    log = Path(os.environ.get("SLUICE_LOGS", "/tmp")) / f"{PREFIX}keep.out"
    with open(log, "w", encoding="utf-8") as output:
        done = subprocess.run(DEMO + ["--keep"], stdout=output, stderr=output, env=ENV, timeout=80, check=False)
    said = log.read_text()
    try:
        check_equal(done.returncode, 0, said)
        check("to enter" in said or "To look further" in said, said)
        check_equal(len(leftovers(PREFIX)), 3, "namespaces that stay")
        ping = ["ip", "netns", "exec", f"{PREFIX}carol", "ping", "-n", "-c", "2", "-W", "2", "-I", "10.2.0.1", "10.1.0.10"]
        check("2 received" in run(ping, ok=None).stdout, "the tunnel works on")
    finally:
        subprocess.run(DEMO + ["--down"], env=ENV, timeout=60, check=False, stdout=subprocess.DEVNULL)
        log.unlink()
    wait_for(lambda: not leftovers(PREFIX), 5, "everything is gone")
    nothing_left()


if __name__ == "__main__":
    main()
