"""One socket of the demo's short scenes: it sends what it is told to, and keeps all that comes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio
from msgspec import json
from trio_websocket import ConnectionClosed, WebSocketConnection

from adapters.clients.wire import open_wire
from adapters.demo import DemoFailed


class Ear:
    """`texts` are the frames that came, as they came; `frames` the same, decoded."""

    def __init__(self, wire: WebSocketConnection, on_frame: Callable[[dict[str, Any]], None]) -> None:
        self.texts, self.frames = list[str | bytes](), list[dict[str, Any]]()
        self._wire, self._on_frame = wire, on_frame
        self._came, self._code = trio.Event(), 0

    async def listen(self) -> None:
        """Take in what comes, until the socket is closed."""
        try:
            while True:
                self._take(await self._wire.get_message())
        except ConnectionClosed as closed:
            self._code = 1006 if closed.reason is None else closed.reason.code
            self._came.set()

    def _take(self, text: str | bytes) -> None:
        self.texts.append(text)
        self.frames.append(json.decode(text))
        self._on_frame(self.frames[-1])
        self._came.set()
        self._came = trio.Event()

    async def send(self, type: str, **fields: Any) -> None:
        await self._wire.send_message(json.encode({"type": type, **fields}).decode())

    async def until(self, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first such frame, of those that came and those that come. Raises DemoFailed when none can come."""
        while (found := next(filter(is_it, self.frames), None)) is None:
            if self._code:
                raise DemoFailed(f"the server closed a socket that still waited for something ({self._code})")
            await self._came.wait()
        return found


@asynccontextmanager
async def listening(url: str, on_frame: Callable[[dict[str, Any]], None] = lambda _: None) -> AsyncIterator[Ear]:
    """A socket at `url`, for as long as the block lasts. Raises CannotConnect."""
    async with open_wire(url) as wire, trio.open_nursery() as nursery:
        ear = Ear(wire, on_frame)
        nursery.start_soon(ear.listen)
        yield ear
        nursery.cancel_scope.cancel()
