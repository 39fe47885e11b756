"""Values inside a JSON text, found by path and exchanged, the rest of it byte for byte as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Raw

EACH = "[]"
"""The step of a path that stands for every element of an array."""

Tree = Mapping[str, Any]
"""Paths by their steps; at the end of each None."""
Change = Callable[[str, bytes], bytes]
"""Gets where a value is, and its JSON; gives the JSON to stand there."""

_object = msgspec.json.Decoder(dict[str, Raw]).decode
_array = msgspec.json.Decoder(list[Raw]).decode
_encode = msgspec.json.Encoder().encode


def tree_of(paths: Iterable[str]) -> Tree:
    """The paths (`a`, `a.[].b`) as a tree."""
    tree: dict[str, Any] = {}
    for path in paths:
        *steps, last = path.split(".")
        branch = tree
        for step in steps:
            branch = branch.setdefault(step, {})
        branch[last] = None
    return tree


def changed(content: bytes | str, tree: Tree, change: Change, at: str = "") -> bytes:
    """The JSON with each value that the tree leads to exchanged. Where the JSON has another shape, it stays."""
    if EACH in tree:
        return _changed_array(content, tree[EACH], change, at)
    if (content[:1] if isinstance(content, str) else content[:1].decode("latin-1")) != "{":
        return _bytes(content)
    values = _object(content)
    for name, below in tree.items():
        if (value := values.get(name)) is not None:
            values[name] = Raw(_exchanged(bytes(value), below, change, f"{at}.{name}"))
    return _encode(values)


def _changed_array(content: bytes | str, below: Tree | None, change: Change, at: str) -> bytes:
    raw = _bytes(content)
    if raw[:1] != b"[":
        return raw
    elements = enumerate(_array(raw))
    return _encode([Raw(_exchanged(bytes(each), below, change, f"{at}.{index}")) for index, each in elements])


def _exchanged(value: bytes, below: Tree | None, change: Change, at: str) -> bytes:
    return change(at, value) if below is None else changed(value, below, change, at)


def _bytes(content: bytes | str) -> bytes:
    return content.encode() if isinstance(content, str) else content
