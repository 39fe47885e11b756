"""Events in words, for people who read a timeline; a module for each kind of stream. Pure: events in, texts out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import json, structs, to_builtins
from rich.text import Text

from adapters.telling import audits, calls, channels, conversations, sessions
from adapters.telling.words import Devices, fields, shorten
from core.call import CallForked
from core.conversation import ConversationForked
from core.decider import CommandRejected

__all__ = ["Devices", "describe", "shorten"]


def describe(event: Any, devices: Devices) -> Text:
    """What happened, in words."""
    if isinstance(event, CommandRejected):
        return Text(f"refused ({event.code}): {shorten(event.message)}", "red")
    if isinstance(event, ConversationForked | CallForked):
        return Text(f"forked from {shorten(event.source)}@{event.version}", "bold").append(_new_in(event), "dim")
    for describe_one in _KINDS:
        if (text := describe_one(event, devices)) is not None:
            return text
    return Text(f"{type(event).__name__} ").append(shorten(json.encode(to_builtins(event)).decode()), "dim")


def _new_in(fork: ConversationForked | CallForked) -> str:
    """What is different from there on."""
    named = structs.asdict(fork)
    chosen = {name: value for name, value in named.items() if name not in ("source", "version") and value is not None}
    return f", with {fields(chosen)}" if chosen else ""


_KINDS: tuple[Callable[[Any, Devices], Text | None], ...] = (
    conversations.describe, sessions.describe, calls.describe, channels.describe, audits.describe,
)  # fmt: skip
