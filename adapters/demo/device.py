"""A device of the demo: it follows a conversation through every loss, and keeps every frame it was sent."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import trio
from msgspec import json

from actors.backoff import Backoff
from adapters.clients.bookmark import Place
from adapters.clients.follower import Heard, follow

SOON = Backoff(random.random, first=0.05, cap=0.1)
"""The demo is not made to wait: its server is back as soon as it can be."""


class Device:
    """`frames` are all frames in the order they came; `heard` those from the log, as version and raw text."""

    def __init__(
        self, port: int, conversation_id: str, on_frame: Callable[[dict[str, Any]], None] = lambda _: None
    ) -> None:
        self._on_frame = on_frame
        url = f"ws://127.0.0.1:{port}/api/ws/conversations/{conversation_id}?deltas=true"
        self._following = follow(url, backoff=SOON)
        self.frames: list[dict[str, Any]] = []
        self.heard: list[tuple[int, str]] = []
        self.greetings: list[dict[str, Any]] = []
        self._came = trio.Condition()

    async def run(self) -> None:
        """Listen until the conversation is over."""
        async with self._following as self._follower:
            async for heard in self._follower:
                await self._take(heard)

    @property
    def seq(self) -> int:
        """The version of the last frame that was heard."""
        return self._follower.seq or 0

    async def _take(self, heard: Heard) -> None:
        match heard.place:
            case Place.SNAPSHOT | Place.RESUMED:
                self.greetings.append(heard.frame)
            case Place.LOGGED:
                self.heard.append((heard.frame["seq"], heard.text))
            case _:
                pass
        self._on_frame(heard.frame)
        async with self._came:
            self.frames.append(heard.frame)
            self._came.notify_all()

    async def send(self, text: str) -> None:
        """Send a raw text frame."""
        await self._follower.send(text)

    async def say(self, type: str, **payload: Any) -> None:
        await self.send(json.encode({"type": type, "payload": payload}).decode())

    async def until(self, type: str, after: int = 0, times: int = 1, **payload: Any) -> dict[str, Any]:
        """Wait for a frame of this type and payload among those behind the first `after`; the `times`-th of them."""
        async with self._came:
            while True:
                found = [
                    frame for frame in self.frames[after:]
                    if frame["type"] == type and payload.items() <= frame["payload"].items()
                ]  # fmt: skip
                if len(found) >= times:
                    return found[times - 1]
                await self._came.wait()
