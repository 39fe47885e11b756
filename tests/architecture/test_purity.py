"""The core is pure, seen in its sources: a recorded command, decided again years later, must give the same events."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

# What core may import besides itself. A list of what is allowed, because nobody can list all that is not.
PURE = {
    "__future__",
    "abc",
    "collections",
    "contextlib",
    "dataclasses",
    "enum",
    "functools",
    "itertools",
    "operator",
} | {"decimal", "fractions", "hashlib", "math", "msgspec", "re", "string", "types", "typing", "unicodedata"}
# What reaches outside without an import, or differs from one process to the next.
IMPURE = {"__import__", "breakpoint", "compile", "eval", "exec", "hash", "input", "open", "print"}


@pytest.fixture(scope="session")
def core(trees: dict[str, ast.Module]) -> dict[str, ast.Module]:
    return {name: tree for name, tree in trees.items() if name.startswith("core/")}


def imports(tree: ast.AST) -> Iterator[str]:
    """The dotted names a tree imports, `from a import b` as `a.b`."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module, names):
                yield from (f"{module}.{alias.name}" for alias in names)
            case _:
                pass


def methods_of_protocols(tree: ast.Module) -> set[ast.AST]:
    protocols = (
        node for node in tree.body if isinstance(node, ast.ClassDef) and "Protocol" in map(ast.unparse, node.bases)
    )
    return {method for protocol in protocols for method in protocol.body}


def test_core_imports_only_what_is_known_to_be_pure(core: dict[str, ast.Module]) -> None:
    impure = [
        f"{name}: {imported}"
        for name, tree in core.items()
        for imported in imports(tree)
        if imported.partition(".")[0] not in PURE | {"core"}
    ]
    assert impure == []


def test_core_encodes_nothing(core: dict[str, ast.Module]) -> None:
    encodings = ("msgspec.json", "msgspec.msgpack", "msgspec.yaml", "msgspec.toml")
    imported = [f"{name}: {it}" for name, tree in core.items() for it in imports(tree) if it.startswith(encodings)]
    reached = [
        f"{name}:{node.lineno}: {ast.unparse(node)}"
        for name, tree in core.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node) in encodings
    ]
    assert imported + reached == []


def test_core_calls_nothing_that_reaches_outside_or_differs_between_processes(core: dict[str, ast.Module]) -> None:
    calls = [
        f"{name}:{node.lineno}: {ast.unparse(node)}"
        for name, tree in core.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE
    ]
    assert calls == []


def test_core_never_waits(core: dict[str, ast.Module]) -> None:
    waits = [
        f"{name}: {ast.unparse(node)}"
        for name, tree in core.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith)
        or (isinstance(node, ast.comprehension) and node.is_async)
    ]
    assert waits == []


def test_only_the_ports_promise_functions_that_wait(core: dict[str, ast.Module]) -> None:
    promises = [
        f"{name}:{node.lineno}: {node.name}"
        for name, tree in core.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncFunctionDef)
        and not (name == "core/ports.py" and node in methods_of_protocols(tree))
    ]
    assert promises == []


def test_core_keeps_no_variables_of_the_process(core: dict[str, ast.Module]) -> None:
    variables = [
        f"{name}:{node.lineno}"
        for name, tree in core.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Global | ast.Nonlocal)
    ]
    assert variables == []
