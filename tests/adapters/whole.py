"""The whole server as `callboard serve` runs it, in this process, from settings as their owner writes them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import trio
from msgspec import json

from adapters import bootstrap
from adapters.config import from_environment
from tests.adapters.server.raw import Wire, connected
from tests.adapters.web.conftest import Socket, connected_to

STANDARD = {"CALLBOARD_BIND": "127.0.0.1:0", "CALLBOARD_STORE": "memory:", "CALLBOARD_GRACEFUL_TIMEOUT": "0.4"}

PATIENCE = 30.0
"""Seconds; what is imported when a model is first asked takes some on a busy machine."""


@dataclass
class Whole:
    """A running server. `urls` are those it says it listens on."""

    urls: list[str]
    http: httpx.AsyncClient
    shutdown: trio.Event

    def connect(self, path: str, **options: Any) -> AbstractAsyncContextManager[Socket]:
        return connected_to(self.urls[0].replace("http", "ws") + path, options)

    def raw(self) -> AbstractAsyncContextManager[Wire]:
        """A connection on which nothing has been said."""
        return connected(int(self.urls[0].rpartition(":")[2]))

    async def opened(self) -> str:
        """The id of a new conversation."""
        answer = await self.http.post("/api/v2/conversations", json={})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])


async def say(socket: Socket, frame: Any) -> None:
    await socket.wire.send_message(json.encode(frame).decode())


async def heard(socket: Socket) -> Any:
    """The next frame, whatever its dialect."""
    with trio.fail_after(PATIENCE):
        return json.decode(await socket.wire.get_message())


@asynccontextmanager
async def serving(**written: str) -> AsyncIterator[Whole]:
    """A server with these settings, by their variables; where nothing is said, on a free port and a log in memory."""
    settings, shutdown = from_environment({**STANDARD, **written}, {}), trio.Event()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "settle_interpreter", lambda: None)  # a setting of the whole process
        async with trio.open_nursery() as nursery:
            urls = await nursery.start(bootstrap.serve, settings, shutdown)
            async with httpx.AsyncClient(base_url=urls[0], timeout=PATIENCE) as http:
                yield Whole(urls, http, shutdown)
            shutdown.set()
