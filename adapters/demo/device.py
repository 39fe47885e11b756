"""A device of the demo: a WebSocket client that comes back with `since`, and keeps every frame it was sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio
from msgspec import json
from trio_websocket import ConnectionClosed, WebSocketConnection

from adapters.clients.wire import CannotConnect, open_wire


class Device:
    """`frames` are all frames in the order they came; `heard` those from the log, as version and raw text."""

    def __init__(
        self, port: int, conversation_id: str, on_frame: Callable[[dict[str, Any]], None] = lambda _: None
    ) -> None:
        self._on_frame = on_frame
        self._url = f"ws://127.0.0.1:{port}/api/ws/conversations/{conversation_id}?deltas=true"
        self.frames: list[dict[str, Any]] = []
        self.heard: list[tuple[int, str]] = []
        self.greetings: list[dict[str, Any]] = []
        self.losses = 0
        self._epoch: str | None = None
        self._wire: WebSocketConnection | None = None
        self._came = trio.Condition()

    async def run(self) -> None:
        """Connect, listen, and come back after every loss; until the conversation is over."""
        while True:
            try:
                async with open_wire(self._url + self._since()) as self._wire:
                    await self._listen(self._wire)
            except ConnectionClosed as closed:
                if closed.reason is not None and closed.reason.code == 1000:
                    return
                self.losses += 1
            except CannotConnect:
                pass
            await trio.sleep(0.05)

    def _since(self) -> str:
        return f"&since={self.seq}&epoch={self._epoch}" if self._epoch else ""

    @property
    def seq(self) -> int:
        """The version of the last frame that was heard."""
        return max((frame["seq"] for frame in self.frames if "seq" in frame), default=0)

    async def _listen(self, wire: WebSocketConnection) -> None:
        greeted = False
        while True:
            text = await wire.get_message()
            frame = json.decode(text)
            if not greeted:
                greeted, self._epoch = True, frame["epoch"]
                self.greetings.append(frame)
            elif "seq" in frame:
                self.heard.append((frame["seq"], str(text)))
            self._on_frame(frame)
            async with self._came:
                self.frames.append(frame)
                self._came.notify_all()

    async def send(self, text: str) -> None:
        """Send a raw text frame; lost without a word when there is no connection, as in a browser."""
        if self._wire is not None:
            await self._wire.send_message(text)

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
