"""House style that no linter knows: sizes, and words that say nothing."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterator
from pathlib import PurePath

MEDIAN_LINES, MOST_LINES = 10, 60
MODULE_LINES = 300

EMPTY_WORDS = frozenset(
    {
        "manager",
        "handler",
        "helper",
        "util",
        "utility",
        "common",
        "base",
        "processor",
        "service",
        "engine",
        "data",
        "info",
    }
)
# Names the outside has chosen, with who it was.
GIVEN_NAMES = {
    "WebSocketManager",  # seed 001: the client is imported under this name
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(trees: dict[str, ast.Module]) -> Iterator[tuple[str, Function]]:
    """Every function that does something, with its place; what only promises (protocols) has no length."""
    for name, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, Function) and instructions(node):
                yield f"{name}:{node.lineno}: {node.name}", node


def instructions(function: Function) -> list[ast.stmt]:
    """The body without its docstring and without `...`."""
    return [statement for statement in function.body if not is_text(statement)]


def is_text(statement: ast.stmt) -> bool:
    """A docstring or `...`."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and (isinstance(value.value, str) or value.value is ...)


def words(name: str) -> set[str]:
    """The words of a name, in lower case and in the singular: `EventHandlers` → event, handler."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name)
    return {form for part in parts for form in (part.lower(), part.lower().removesuffix("s"))}


def test_functions_are_short_in_the_median(trees: dict[str, ast.Module]) -> None:
    assert statistics.median(length(function) for _, function in functions(trees)) <= MEDIAN_LINES


def test_no_function_is_long(trees: dict[str, ast.Module]) -> None:
    assert [place for place, function in functions(trees) if length(function) > MOST_LINES] == []


def length(function: Function) -> int:
    """Lines from `def` to the end, without the docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    docstring = function.body[0]
    if is_text(docstring):
        lines -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
    return lines


def test_a_long_module_argues_for_itself(modules: dict[str, str]) -> None:
    silent = [
        f"{name}: {len(text.splitlines())} lines"
        for name, text in modules.items()
        if len(text.splitlines()) > MODULE_LINES and not re.search(r"^# long because: \S", text, re.MULTILINE)
    ]
    assert silent == []


def test_only_long_modules_say_why_they_are_long(modules: dict[str, str]) -> None:
    chatty = [
        name for name, text in modules.items() if len(text.splitlines()) <= MODULE_LINES and "# long because" in text
    ]
    assert chatty == []


def test_every_module_says_what_it_is(trees: dict[str, ast.Module]) -> None:
    assert [name for name, tree in trees.items() if not ast.get_docstring(tree)] == []


def test_names_have_no_empty_words(trees: dict[str, ast.Module]) -> None:
    definitions = [
        (f"{name}:{node.lineno}: {node.name}", node.name)
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef | Function)
    ]
    paths = [(name, part) for name in trees for part in PurePath(name).with_suffix("").parts]
    empty = [place for place, name in definitions + paths if words(name) & EMPTY_WORDS and name not in GIVEN_NAMES]
    assert empty == []


def test_the_words_of_a_name_are_told_apart() -> None:
    assert words("EventHandlers") >= {"event", "handler"}
    assert words("_load_DataURL2") >= {"load", "data", "url"}
    assert not words("metadata_of_database") & EMPTY_WORDS


def test_commands_and_events_are_named_without_saying_that_they_are(trees: dict[str, ast.Module]) -> None:
    suffixed = [
        f"{name}:{node.lineno}: {node.name}"
        for name, tree in trees.items()
        if name.startswith("core/")
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and "Struct" in map(ast.unparse, node.bases)  # exceptions may speak of commands
        and re.search(r".(Event|Command)$", node.name)
    ]
    assert suffixed == []


def test_every_ignore_says_what_it_ignores(modules: dict[str, str], test_modules: dict[str, str]) -> None:
    blanket = [
        f"{name}:{number}"
        for name, text in {**modules, **test_modules}.items()
        for number, line in enumerate(text.splitlines(), start=1)
        if re.search(r"#\s*type:\s*ignore(?!\[)", line) or re.search(r"#\s*noqa(?!:)", line)
    ]
    assert blanket == []


def test_no_test_sleeps_on_the_real_clock(test_modules: dict[str, str]) -> None:
    sleepers = [
        f"{name}:{node.lineno}"
        for name, text in test_modules.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "time.sleep"
    ]
    assert sleepers == []
