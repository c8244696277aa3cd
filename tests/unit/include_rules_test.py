#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The include table of the architecture, and the sizes of files and functions, checked over the tree.

Each rule is a function from files to complaints; its case runs it over the tree, and a case beside it over a bad sample, so
that a rule that has gone blind is noticed.
"""
import ast
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from script import case, check, check_equal, main  # noqa: E402

TOP = Path(__file__).resolve().parent.parent.parent
FOLDERS = ("lib/base", "lib/net", "lib/crypto", "lib/ipsec", "lib/esp", "ike", "ha", "dataplane", "control", "apps/bench", "apps")
LIB = {"lib/base", "lib/net", "lib/crypto", "lib/ipsec", "lib/esp"}
MAY_INCLUDE = {
    "lib/base": set(),
    "lib/net": {"lib/base"},
    "lib/crypto": {"lib/base"},
    "lib/ipsec": {"lib/base", "lib/net", "lib/crypto"},
    "lib/esp": {"lib/base", "lib/net", "lib/ipsec", "lib/crypto"},
    "ike": LIB,
    "ha": LIB | {"ike"},
    "dataplane": LIB,
    "control": LIB | {"ike", "ha", "dataplane"},
    "apps/bench": LIB | {"dataplane"},
    "apps": LIB | {"ike", "ha", "dataplane", "control", "apps/bench"},
}
DATAPLANE_FACE = "dataplane/dataplane.hpp"
OPENSSL_OWNERS = "lib/crypto/openssl_ptr.hpp"  # the one header that sees OpenSSL, for .cpp files of its folder
DATAPLANE_INSIDE = {"dataplane", "apps/bench"}  # the benchmark drives what the worker runs
SANS_IO = LIB | {"ike", "ha"}  # no sockets, threads or clocks

# Foreign headers: a pattern, and the folders that may include them.
FOREIGN = [
    (r"rte_\w+\.h|intel-ipsec-mb\.h|ipsec-mb\.h", DATAPLANE_INSIDE),
    (r"openssl/.*", {"lib/crypto"}),
    (r"prometheus/.*|toml\+\+/.*|toml\.hpp|libmnl/.*", {"control"}),
    (r"boost/.*", {"apps"}),
    (r"(sys|netinet|arpa|net|linux|bits)/.*|netdb\.h|unistd\.h|poll\.h|fcntl\.h|ifaddrs\.h|signal\.h|csignal",
     {"dataplane", "control", "apps", "apps/bench"}),
    (r"thread|mutex|shared_mutex|condition_variable|future|semaphore|latch|barrier|stop_token|pthread\.h|sched\.h",
     {"dataplane", "control", "apps", "apps/bench"}),
    (r"ctime|time\.h|sys/time\.h", {"dataplane", "control", "apps"}),
]
READS_A_CLOCK = re.compile(r"\b(steady_clock|system_clock|high_resolution_clock|clock_gettime|gettimeofday|sleep_for)\b")
OWN_RANDOMNESS = re.compile(r"\b(random_device|getrandom|getentropy|arc4random|mt19937(_64)?)\b|\brand\s*\(")
ALLOCATES = re.compile(r"\b(new|malloc|make_unique|make_shared|ByteVec|vector|push_back|resize)\b")
MAX_FILE, MAX_FUNCTION = 500, 70


def folder_of(path):
    return next((f for f in FOLDERS if path.startswith(f + "/")), "")


def blank(match):
    """Newlines stay, so that line numbers do."""
    return re.sub(r"[^\n]", " ", match.group(0))


def without_comments(text):
    literal = r'R"(\w*)\((?:.|\n)*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\''
    pattern = re.compile(literal + r"|//[^\n]*|/\*(?:.|\n)*?\*/")
    return pattern.sub(lambda m: m.group(0) if m.group(0)[0] not in "/" else blank(m), text)


def code_only(text):
    """Source without comments, literals and preprocessor lines, line by line as it was."""
    text = without_comments(text)
    text = re.sub(r'R"(\w*)\((?:.|\n)*?\)\1"|"(?:\\.|[^"\\\n])*"', lambda m: '""' + blank(m)[2:], text)
    text = re.sub(r"(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'", blank, text)
    return re.sub(r"^[ \t]*#(?:\\\n|[^\n])*", blank, text, flags=re.M)


def includes(text):
    """(line, quote, header) of each include."""
    text = without_comments(text)
    for m in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', text, re.M):
        yield text.count("\n", 0, m.start()) + 1, m.group(1), m.group(2)


def own_include_complaint(path, header):
    folder, target = folder_of(path), folder_of(header)
    if header == OPENSSL_OWNERS and (folder != target or not path.endswith(".cpp")):
        return f'"{header}" is for .cpp files of {target}'
    if not target:
        return f'"{header}" is no path from the top'
    if target == "dataplane" and folder not in DATAPLANE_INSIDE and target in MAY_INCLUDE[folder] and header != DATAPLANE_FACE:
        return f"{folder} may include nothing of dataplane but {DATAPLANE_FACE}"
    if target != folder and target not in MAY_INCLUDE[folder]:
        return f"{folder} may not include {target} ({header})"
    return None


def foreign_include_complaint(path, header):
    folder = folder_of(path)
    for pattern, allowed in FOREIGN:
        if re.fullmatch(pattern, header) and folder not in allowed:
            return f"{folder} may not include <{header}>"
    if header.startswith("openssl/") and path.endswith(".hpp") and path != OPENSSL_OWNERS:
        return f"<{header}> belongs into a .cpp"
    return None


def check_includes(files):
    for path, text in files.items():
        if not folder_of(path):
            continue
        for line, quote, header in includes(text):
            complaint = own_include_complaint if quote == '"' else foreign_include_complaint
            what = complaint(path, header)
            if what:
                yield f"{path}:{line}: {what}"


def matches_of(pattern, path, text, what):
    code = code_only(text)
    for m in pattern.finditer(code):
        yield f"{path}:{code.count(chr(10), 0, m.start()) + 1}: {what} ({m.group(0).strip()})"


def check_sans_io(files):
    for path, text in files.items():
        folder = folder_of(path)
        if folder in SANS_IO:
            yield from matches_of(READS_A_CLOCK, path, text, "time is handed in, never read")
            if not path.startswith("lib/crypto/random"):
                yield from matches_of(OWN_RANDOMNESS, path, text, "randomness is handed in")
        if folder == "lib/esp":
            yield from matches_of(ALLOCATES, path, text, "lib/esp does not allocate")


def check_form(files):
    for path, text in files.items():
        if path.endswith((".cpp", ".hpp")):
            if not text.startswith("// SPDX-License-Identifier: Apache-2.0\n"):
                yield f"{path}:1: the first line is the SPDX line"
            if path.endswith(".hpp") and "#pragma once" not in text:
                yield f"{path}:1: no #pragma once"


def check_file_length(files):
    for path, text in files.items():
        lines = text.count("\n")
        if lines > MAX_FILE:
            yield f"{path}:1: {lines} lines, at most {MAX_FILE}"


# ---- Functions by their braces. A block at the scope of a namespace or class is one of these.
TYPE_OR_NAMESPACE = re.compile(r"(^|[\s>;])(namespace|class|struct|union|enum|concept)\b(?![^{]*\()|\bextern\s*\"\"\s*$")
TAIL_WORDS = r"(?:const|noexcept|override|final|mutable|try|&&?|volatile)"


def kind_of_block(head):
    """scope, function, or data (initialisers, and members set in a constructor's list) for the text before a brace."""
    head = head.strip()
    if TYPE_OR_NAMESPACE.search(head):
        return "scope"
    if head.count("(") != head.count(")") or "(" not in head:
        return "lambda" if re.search(r"\[[^\]]*\]\s*$", head) and head.count("(") == head.count(")") else "data"
    if re.search(r"\)\s*(?:" + TAIL_WORDS + r"\s*)*:(?!:)[^;]*[\w>]$", head) and not re.search(TAIL_WORDS + "$", head):
        return "data"
    if re.search(r"=\s*[\w:<>, ]*$", head):
        return "data"
    return "function"


def function_lengths(text):
    """(first line, lines, head) of each function in C++ source; what is nested in one belongs to it."""
    code = code_only(text)
    stack, head, head_line, line = [], "", 1, 1
    for c in code:
        inside = any(kind in ("function", "lambda", "data") for kind, _, _ in stack)
        if c == "{":
            kind = "data" if inside else kind_of_block(head)
            stack.append((kind, head_line if head.strip() else line, head))
            if kind not in ("data",) and not inside:
                head = ""
        elif c == "}":
            if stack:
                kind, first, text_before = stack.pop()
                if kind in ("function", "lambda"):
                    yield first, line - first + 1, " ".join(text_before.split())
                if not any(k in ("function", "lambda", "data") for k, _, _ in stack):
                    head = head + " {}" if kind == "data" else ""
        elif c == ";" and not inside and head.count("(") == head.count(")"):
            head = ""
        elif not inside:
            if not head.strip() and not c.isspace():
                head, head_line = "", line
            head += c
        line += c == "\n"
    if stack:
        yield stack[0][1], line, "braces that do not balance"


def python_function_lengths(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, node.end_lineno - node.lineno + 1, node.name


def check_function_length(files):
    for path, text in files.items():
        lengths = python_function_lengths(text) if path.endswith(".py") else function_lengths(text)
        for first, lines, head in lengths:
            if lines > MAX_FUNCTION:
                yield f"{path}:{first}: {lines} lines, at most {MAX_FUNCTION}: {head[:60]}"


def tree():
    files = {}
    for pattern in ("*.cpp", "*.hpp", "*.py"):
        for path in TOP.rglob(pattern):
            place = path.relative_to(TOP)
            if place.parts[0] in FOLDERS + ("lib", "tests", "tools"):
                files[str(place)] = path.read_text(encoding="utf-8")
    return files


def nothing_wrong(complaints):
    found = sorted(complaints)
    for complaint in found:
        print(complaint, file=sys.stderr)
    check(not found, f"{len(found)} found, the first: {found[0] if found else ''}")


def complains(rule, path, text):
    return len(list(rule({path: text})))


@case("The tree keeps the include table")
def tree_includes():
    files = tree()
    check(sum(bool(folder_of(p)) for p in files) > 30, "the tree was not found")
    nothing_wrong(check_includes(files))


@case("lib, ike and ha read no clock and make no randomness; lib/esp does not allocate")
def tree_sans_io():
    nothing_wrong(check_sans_io(tree()))


@case("Sources begin with the SPDX line and headers have #pragma once")
def tree_form():
    nothing_wrong(check_form(tree()))


@case("No file has more than 500 lines")
def tree_files():
    nothing_wrong(check_file_length(tree()))


@case("No function has more than 70 lines")
def tree_functions():
    files = {p: t for p, t in tree().items()}
    measured = sum(1 for p, t in files.items() if p.endswith(".cpp") for _ in function_lengths(t))
    check(measured > 100, f"only {measured} functions were recognised")
    nothing_wrong(check_function_length(files))


@case("The include rules see what is wrong")
def bad_includes():
    wrong = {
        "lib/base/a.hpp": '#include "lib/net/address.hpp"',
        "lib/net/a.cpp": '#include "lib/crypto/prf.hpp"',
        "lib/ipsec/a.cpp": '#include "lib/esp/layout.hpp"',
        "lib/esp/a.hpp": "#include <rte_mbuf.h>",
        "lib/crypto/a.hpp": "#include <openssl/evp.h>",
        "lib/net/b.cpp": "#include <openssl/sha.h>",
        "ike/a.cpp": '#include "dataplane/dataplane.hpp"',
        "ike/b.cpp": '  #  include <sys/socket.h>',
        "ike/c.cpp": "#include <thread>",
        "ha/a.cpp": '#include "control/config/config.hpp"',
        "dataplane/a.cpp": '#include "ike/engine.hpp"',
        "control/a.cpp": '#include "dataplane/worker.hpp"',
        "control/b.cpp": "#include <rte_eal.h>",
        "apps/a.cpp": '#include "dataplane/worker.hpp"',
        "apps/bench/a.cpp": '#include "control/config/config.hpp"',
        "lib/net/c.cpp": '#include "address.hpp"',
    }
    for path, text in wrong.items():
        check_equal(complains(check_includes, path, text + "\n"), 1, f"{path}: {text}")
    right = {
        "lib/crypto/a.cpp": "#include <openssl/evp.h>",
        "control/a.cpp": '#include "dataplane/dataplane.hpp"\n#include <thread>',
        "dataplane/a.cpp": '#include <rte_mbuf.h>\n#include "dataplane/worker.hpp"',
        "apps/bench/a.cpp": '#include <rte_mbuf.h>\n#include "dataplane/worker.hpp"',
        "lib/net/a.cpp": '// #include "ike/engine.hpp"\n/*\n#include <thread>\n*/\nconst char* x = "//"; \n#include <vector>',
    }
    for path, text in right.items():
        check_equal(list(check_includes({path: text + "\n"})), [], path)


@case("The other rules see what is wrong")
def bad_forms():
    check_equal(complains(check_sans_io, "ike/a.cpp", "auto t = std::chrono::steady_clock::now();\n"), 1)
    check_equal(complains(check_sans_io, "ike/a.cpp", "// no steady_clock here\n"), 0)
    check_equal(complains(check_sans_io, "lib/net/a.cpp", "std::random_device d;\n"), 1)
    check_equal(complains(check_sans_io, "control/a.cpp", "std::chrono::steady_clock::now();\n"), 0)
    check_equal(complains(check_sans_io, "lib/esp/a.hpp", "std::vector<int> v;\n"), 1)
    check_equal(complains(check_form, "ike/a.hpp", "#pragma once\n"), 1)
    check_equal(complains(check_form, "ike/a.hpp", "// SPDX-License-Identifier: Apache-2.0\n"), 1)
    check_equal(complains(check_file_length, "ike/a.cpp", "\n" * 500), 0)
    check_equal(complains(check_file_length, "ike/a.cpp", "\n" * 501), 1)


SAMPLE = """// SPDX-License-Identifier: Apache-2.0
#define BRACE {
namespace sluice::x {
enum class E : int { a, b };
struct S {
    int a{1};
    std::array<int, 2> b = {1, 2};
    S(int v) : a{v}, b{1, 2} {
BODY
    }
    template <class T>
    bool operator()(const T& t) const noexcept {
BODY
    }
};
const char* text = "{{{ ( // not a comment";
const char open = '{', quote = '"';
constexpr auto kTable = [] {
BODY
}();
const int table[] = {
BODY
};
[[nodiscard]] std::vector<int> f(
    int a = g({1, 2}), std::function<void()> h = {}) {
    auto inner = [&](int x) { if (x) { return 1; } return 2; };
BODY
}
auto g() -> std::map<int, int> { return {}; }
}  // namespace
TEST_CASE("a {b} (c") {
BODY
}
"""


@case("The measure of functions counts right")
def measure():
    def lengths(body):
        return [(lines, head) for _, lines, head in function_lengths(SAMPLE.replace("BODY", "\n".join(["    ;"] * body)))]

    names = ["S(int v)", "bool operator()", "kTable", "f(", "g() ->", "TEST_CASE"]
    small, large = lengths(1), lengths(69)
    check_equal(len(small), len(names), f"functions in {small}")
    for (lines, head), (more, _), name in zip(small, large, names):
        check(name in head, f"{name} is not in {head}")
        if name != "g() ->":
            check_equal(more - lines, 68, name)
    check_equal([lines for lines, _ in small], [3, 4, 3, 5, 1, 3])
    text = SAMPLE.replace("BODY", "\n".join(["    ;"] * 68))
    check_equal(complains(check_function_length, "ike/a.cpp", text), 2)  # two have longer heads
    text = SAMPLE.replace("BODY", "\n".join(["    ;"] * 69))
    check_equal(complains(check_function_length, "ike/a.cpp", text), 5)
    python = "def f():\n" + "    pass\n" * 70
    check_equal(complains(check_function_length, "tools/a.py", python), 1)
    check_equal(complains(check_function_length, "tools/a.py", python[: -len("    pass\n")]), 0)


if __name__ == "__main__":
    main()
