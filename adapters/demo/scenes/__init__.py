"""The demo's short scenes, each in another dialect on the same server, and what each must have left in the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import json

from core.identifiers import StreamName
from core.messages import Recorded


@dataclass(frozen=True, slots=True)
class Trace:
    """The stream a scene was about, and `promise`: what holds of its events, also after a crash."""

    stream: StreamName
    promise: str
    holds: Callable[[Sequence[Recorded]], bool]


def weather_in_short(report: str) -> str:
    """What a weather tool found, as people would say it."""
    found: dict[str, Any] = json.decode(report)
    return f"{found['location']}: {found['temperature']} °C, {found['conditions']}"
