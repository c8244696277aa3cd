# SPDX-License-Identifier: Apache-2.0
"""The runner itself: what must count as failed does."""
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
import run_all
from script import case, check, check_equal, main


def outcome_of(shell, catch2=False, timeout=20):
    with tempfile.TemporaryDirectory() as folder:
        program = run_all.Program("probe", ["/bin/sh", "-c", shell, "probe"], timeout, catch2, False)
        return run_all.run(program, "", Path(folder), Path(folder))


@case("lines are counted by their first word")
def lines():
    out = outcome_of("echo ok first; echo chatter; echo 'FAIL second was wrong'; echo 'SKIP third no kernel'; exit 1")
    check_equal((out.passed, len(out.failed), out.skipped), (["first"], 1, [("third no kernel", "")]))


@case("a program that prints nothing has failed")
def silent():
    check_equal(outcome_of("exit 0").failed, [("(program)", "ran no test case")])


@case("a crash after good cases is a failure")
def crash():
    out = outcome_of("echo ok first; kill -SEGV $$")
    check_equal(len(out.failed), 1)
    check("exit code" in out.failed[0][1], out.failed)


@case("a program that overruns its time is stopped and has failed")
def overrun():
    out = outcome_of("echo ok first; sleep 30", timeout=1)
    check("still running" in out.failed[0][1], out.failed)


@case("Catch2 cases are counted, and a report that breaks off fails its last case")
def catch2():
    head = '<Catch><Group><TestCase name="one"><OverallResult success="true"/></TestCase>'
    bad = '<TestCase name="two"><Expression success="false" filename="f.cpp" line="3"><Original>a</Original><Expanded>1</Expanded></Expression><OverallResult success="false"/></TestCase>'
    out = outcome_of(f"printf '%s' '{head}{bad}</Group></Catch>' >\"$4\"; exit 1", catch2=True)
    check_equal((out.passed, out.failed), (["one"], [("two", "f.cpp:3: a with 1")]))
    out = outcome_of(f"printf '%s' '{head}<TestCase name=\"two\">' >\"$4\"; kill -SEGV $$", catch2=True)
    check_equal((out.passed, out.failed[0][0]), (["one"], "two"))


@case("a skip that the list does not name is a failure")
def skips():
    out = outcome_of("echo 'SKIP third no kernel'")
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w", encoding="utf-8") as quiet:
        stdout, sys.stdout = sys.stdout, quiet
        try:
            run_all.settle(out, set(), Path(folder), True)
        finally:
            sys.stdout = stdout
    check_equal((len(out.skipped), len(out.failed)), (0, 1))


if __name__ == "__main__":
    main()
