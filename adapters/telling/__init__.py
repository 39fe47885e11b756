"""Events in words, for people who read a timeline; a module for each kind of stream. Pure: events in, texts out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import json, to_builtins
from rich.text import Text

from adapters.telling import calls, channels, conversations, sessions
from adapters.telling.words import Devices, shorten
from core.decider import CommandRejected

__all__ = ["Devices", "describe", "shorten"]


def describe(event: Any, devices: Devices) -> Text:
    """What happened, in words."""
    if isinstance(event, CommandRejected):
        return Text(f"refused ({event.code}): {shorten(event.message)}", "red")
    for describe_one in _KINDS:
        if (text := describe_one(event, devices)) is not None:
            return text
    return Text(f"{type(event).__name__} ").append(shorten(json.encode(to_builtins(event)).decode()), "dim")


_KINDS: tuple[Callable[[Any, Devices], Text | None], ...] = (
    conversations.describe, sessions.describe, calls.describe, channels.describe,
)  # fmt: skip
