# SPDX-License-Identifier: Apache-2.0
# timeout: 2400
# alone
"""Takes every guard of guards.toml out of the program, one at a time: the test that the table names has to go red.

For each guard: 1. its text stands exactly once in its file; 2. the test program as built runs the named cases and is green;
3. the file is compiled without the guard and linked into a copy of the test program in front of the library that holds the
original; 4. the same cases fail in the copy. A guard in a header is taken out in an overlay folder that comes first in the
include path, and the table names the sources to compile with it. Where a copy crashes instead of failing a case, the same
copy made of unchanged source has to be green, so that the crash is the guard's doing.
"""
import concurrent.futures
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

from run_all import Outcome, read_catch2
from script import case, check, chosen_cases, main

TOP = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ.get("SLUICE_BUILD", TOP / "build")).resolve()
PLACE = BUILD / "guards"  # the same each time, so that a compiler cache knows what comes back
JOBS = 2
RUN_TIMEOUT = 60  # seconds for the cases of one guard; they take milliseconds
COMPILE_FLAGS = ["-O0", "-g0", "-w", "-Wno-error"]
KEYS = {"name", "traps", "file", "text", "without", "test", "filter", "sources"}

PENDING = {}


def run(command, timeout=300):
    return subprocess.run(command, cwd=BUILD, capture_output=True, text=True, errors="replace", timeout=timeout, check=False)


def without_outputs(words):
    """A compile command's words less its input, output and dependency files."""
    kept = []
    words = iter(words)
    for word in words:
        if word in ("-o", "-c", "-MF", "-MQ", "-MT"):
            next(words)
        elif word not in ("-MD", "-MMD", "-MP"):
            kept.append(word)
    return kept


@cache
def compile_commands():
    """{source file: {object file: words}}; several targets may compile one source."""
    table = {}
    for entry in json.loads((BUILD / "compile_commands.json").read_text(encoding="utf-8")):
        source = (Path(entry["directory"]) / entry["file"]).resolve()
        if source.is_relative_to(TOP):
            words = without_outputs(shlex.split(entry["command"]))
            table.setdefault(str(source.relative_to(TOP)), {})[entry["output"]] = words
    return table


@cache
def test_program(name):
    """(the program, the words of its link command)."""
    listed = subprocess.run(["meson", "introspect", "--tests", str(BUILD)], check=True, capture_output=True, text=True)
    found = [test["cmd"][0] for test in json.loads(listed.stdout) if test["name"] == name]
    check(len(found) == 1, f"meson knows {len(found)} tests of the name {name}")
    target = os.path.relpath(found[0], BUILD)
    commands = run(["ninja", "-t", "commands", "-s", target])
    check(commands.returncode == 0, f"ninja tells no command for {target}: {commands.stderr}")
    return found[0], shlex.split(commands.stdout.strip().splitlines()[-1])


def compiled(source, folder, overlay, link):
    """Compiles `source`, the overlay's version of it where it has one; returns (object, the object it stands for)."""
    variants = compile_commands().get(source)
    check(variants, f"nothing compiles {source}")
    own = [name for name in variants if name in link]
    original = own[0] if own else next(iter(variants))
    changed = overlay / source
    made = folder / (source.replace("/", "_") + ".o")
    words = variants[original]
    compiler = next(i for i, word in enumerate(words) if word.startswith("-"))
    result = run([*words[:compiler], f"-I{overlay}", *words[compiler:], *COMPILE_FLAGS, "-o", str(made), "-c",
                  str(changed if changed.exists() else TOP / source)])
    check(result.returncode == 0, f"{source} does not compile without the guard: {result.stderr[-1500:]}")
    return str(made), original


def linked(guard, folder, text):
    """A copy of the guard's test program whose `file` holds `text`."""
    overlay = folder / "overlay"
    (overlay / guard["file"]).parent.mkdir(parents=True)
    (overlay / guard["file"]).write_text(text, encoding="utf-8")
    _, link = test_program(guard["test"])
    link = list(link)
    for source in guard.get("sources", [guard["file"]]):
        made, original = compiled(source, folder, overlay, link)
        if original in link:
            link.remove(original)
        link.insert(link.index("-o") + 2, made)  # of an inline function that stands in several objects, the first counts
    program = folder / "program"
    link[link.index("-o") + 1] = str(program)
    # The first definition counts: an archive's member may still be drawn in by one of its templates.
    result = run([*link, "-Wl,--allow-multiple-definition", "-Wl,--strip-debug"])
    check(result.returncode == 0, f"does not link without the guard: {result.stderr[-1500:]}")
    return program


def tried(program, guard, folder):
    """(exit code, what Catch2 reported) of the guard's test cases."""
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    result = run([str(program), guard["filter"], "-r", "xml", "-o", str(report)], RUN_TIMEOUT)
    outcome = Outcome(program=None)
    read_catch2(report, outcome)
    return result.returncode, outcome


def check_green(program, guard, folder, what):
    code, outcome = tried(program, guard, folder)
    check(outcome.passed or outcome.failed, f"{what} has no test case {guard['filter']!r}")
    check(code == 0 and not outcome.failed, f"{what} is red as it is: exit code {code}, {outcome.failed[:1]}")


def try_guard(guard):
    """Raises AssertionError where the guard is not covered."""
    source = (TOP / guard["file"]).read_text(encoding="utf-8")
    count = source.count(guard["text"])
    check(count == 1, f"the guard's text stands {count} times in {guard['file']}; the table needs another look")
    check(guard["text"] != guard["without"], "the table takes nothing out")
    folder = PLACE / re.sub(r"\W+", "_", guard["name"])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    check_green(test_program(guard["test"])[0], guard, folder, guard["test"])
    code, outcome = tried(linked(guard, folder, source.replace(guard["text"], guard["without"])), guard, folder)
    check(code != 0 and outcome.failed, f"stays green without the guard: {guard['test']} {guard['filter']!r}")
    print(f"{guard['name']}: {outcome.failed[0]}", file=sys.stderr, flush=True)
    if code < 0 or any("signal" in why or "breaks off" in why for _, why in outcome.failed):
        shutil.rmtree(folder)
        folder.mkdir()
        check_green(linked(guard, folder, source), guard, folder, f"an unchanged copy of {guard['test']}")
    shutil.rmtree(folder)


def register(guard):
    missing = KEYS - {"sources"} - guard.keys()
    unknown = guard.keys() - KEYS

    @case(f"TRAPS {guard['traps']}: {guard['name']}" if guard.get("traps") else guard.get("name", "(no name)"), timeout=300)
    def _covered():
        check(not missing and not unknown, f"keys missing: {missing or 'none'}; unknown: {unknown or 'none'}")
        PENDING[guard["name"]].result()

    _covered.guard = guard


def begin():
    compile_commands()
    pool = concurrent.futures.ThreadPoolExecutor(JOBS)
    for function in chosen_cases():
        guard = function.guard
        PENDING[guard["name"]] = pool.submit(try_guard, guard)


GUARDS = tomllib.loads((Path(__file__).parent / "guards.toml").read_text(encoding="utf-8"))["guard"]
for one in GUARDS:
    register(one)
main(before=begin)
