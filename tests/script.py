# SPDX-License-Identifier: Apache-2.0
"""Test cases as Python functions: what every tests/**/*_test.py is written with.

A program registers functions with @case and ends with main(). Each case prints one line that run_all.py counts:
`ok NAME`, `FAIL NAME why` or `SKIP NAME reason`. The whole story of a failure goes to standard error.
"""
import os
import re
import signal
import sys
import time
import traceback

_CASES = []


class Skip(Exception):
    """Raised by a case that cannot run here; its text is the reason that tests/allowed-skips must name."""


class Overdue(Exception):
    """A case ran longer than its timeout."""


def case(name, timeout=120):
    """Registers the function below as the case `name`; it fails after `timeout` seconds."""

    def register(function):
        _CASES.append((name, function, timeout))
        return function

    return register


def check(condition, text):
    if not condition:
        raise AssertionError(text)


def check_equal(got, want, text=""):
    if got != want:
        raise AssertionError(f"{text}{': ' if text else ''}got {got!r}, want {want!r}")


def wait_for(condition, timeout, text, interval=0.05):
    """Polls `condition` until it is true and returns what it gave; AssertionError with `text` after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {text}")
        time.sleep(interval)


def _one_line(error):
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) < 400 else text[:400] + "..."


def _overdue(_signal, _frame):
    raise Overdue("timed out")


def _run(name, function, timeout):
    signal.signal(signal.SIGALRM, _overdue)
    signal.setitimer(signal.ITIMER_REAL, timeout)
    try:
        function()
        return f"ok {name}", True
    except Skip as reason:
        return f"SKIP {name} {_one_line(reason)}", True
    except Exception as error:
        traceback.print_exc()
        return f"FAIL {name} {type(error).__name__}: {_one_line(error)}", False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _chosen():
    pattern = re.compile(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("SLUICE_TEST_CASE", ""))
    return [c for c in _CASES if pattern.search(c[0])]


def chosen_cases():
    """The functions that main() is going to run, for a program that works ahead."""
    return [function for _, function, _ in _chosen()]


def main(before=None, after=None):
    """Runs the registered cases whose name matches argv[1], if given. `before` and `after` frame them all."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen = _chosen()
    good = True
    try:
        if before and chosen:
            before()
        for name, function, timeout in chosen:
            started = time.monotonic()
            print(f"--- {name}", file=sys.stderr, flush=True)
            line, passed = _run(name, function, timeout)
            good = good and passed
            print(f"--- {name}: {time.monotonic() - started:.1f} s", file=sys.stderr, flush=True)
            print(line, flush=True)
    except Exception as error:
        traceback.print_exc()
        print(f"FAIL set-up {type(error).__name__}: {_one_line(error)}", flush=True)
        good = False
    finally:
        if after:
            after()
    sys.exit(0 if good else 1)
