"""Schema evolution: one step per version, from dict to dict.

When an event gets its second version, its new class goes into the catalog as `name/2` and the step
`"name/1": lambda old: {**old, ...}` goes here. Stored events never change; they are read as the newest version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Upcast = Callable[[dict[str, Any]], dict[str, Any]]

UPCASTERS: Mapping[str, Upcast] = {}
"""From the stored name with its version to the step to the next version."""


def next_version(name: str) -> str:
    """`conversation.opened/1` → `conversation.opened/2`."""
    stem, _, version = name.rpartition("/")
    return f"{stem}/{int(version) + 1}"
