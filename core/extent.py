"""How large a JSON-like value is, so that what is remembered of other people's objects stays bounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SCALAR = 8
"""Characters any number, truth value or null counts as."""


def extent(value: Any) -> int:
    """Characters in all texts of `value`, keys included, and `SCALAR` for everything else. However deep it nests."""
    total, rest = 0, [value]
    while rest:
        match rest.pop():
            case str() as text:
                total += len(text)
            case Mapping() as members:
                total += SCALAR
                rest.extend(members.keys())
                rest.extend(members.values())
            case list() | tuple() as items:
                total += SCALAR
                rest.extend(items)
            case _:
                total += SCALAR
    return total
