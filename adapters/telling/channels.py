"""What happens on a channel, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from adapters.telling.words import Devices, as_json, shorten
from core.channel import ChannelOpened, Published


def describe(event: Any, devices: Devices) -> Text | None:  # noqa: ARG001  # as its siblings
    """None for what is no event of a channel."""
    match event:
        case ChannelOpened(name):
            return Text(f"opened as {shorten(name)}", "bold")
        case Published(_, payload):
            return _describe(payload)
        case _:
            return None


def _describe(payload: Mapping[str, Any]) -> Text:
    """What the assistant publishes has a message, and says what kind it is of."""
    match payload:
        case {"message": str(message)}:
            kind = " ".join(str(payload[name]) for name in ("type", "status") if name in payload)
            return Text(f"“{shorten(message)}”").append(f"  ({shorten(kind)})" if kind else "", "dim")
        case _:
            return Text(as_json(payload))


def goes_on(event: Any, following: Any) -> bool:
    """Whether the two show one answer as it grows."""
    if not (isinstance(event, Published) and isinstance(following, Published)):
        return False
    one, other = _growing(event.payload), _growing(following.payload)
    return one is not None and one == other


def _growing(payload: Mapping[str, Any]) -> Any:
    """Of which answer this is a part, None for what is no part of any."""
    return payload.get("message_id") if payload.get("type") == "response" and "status" not in payload else None
