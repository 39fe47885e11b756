"""What all who put events into words have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import json
from rich.text import Text

MOST_SHOWN = 160
"""Characters of one text that are shown; the log has the rest."""


class Devices:
    """Devices are numbered as they appear: connection ids say nothing to people."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def name(self, connection_id: str) -> str:
        return f"device {self._numbers.setdefault(connection_id, len(self._numbers) + 1)}"


def shorten(text: str, most: int = MOST_SHOWN) -> str:
    """One line of at most `most` characters, none of which a terminal would obey."""
    flat = "".join(character if character.isprintable() else "�" for character in " ".join(text.split()))
    return flat if len(flat) <= most else f"{flat[: most - 1]}…"


def said(text: str, style: str = "") -> Text:
    """Somebody's words."""
    return Text(f"“{shorten(text)}”", style)


def as_json(value: Any, most: int = MOST_SHOWN) -> str:
    return shorten(json.encode(value).decode(), most)


def fields(values: Mapping[str, Any], most: int = MOST_SHOWN) -> str:
    """An object's fields as people write them: `weight 5, carrier UPS`."""
    return shorten(", ".join(f"{name} {_plain(value)}" for name, value in values.items()), most)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else as_json(value)


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    return ", ".join(map(shorten, names))
