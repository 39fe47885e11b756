"""Plays a dialogue over real sockets, as far as what happens in it can happen to a real server.

Everything takes its time there. So before anything is made to happen, each client asks something twice and waits for
the answers (`Sync`): what it sent before has then been dealt with, also where that took the actor two steps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import trio

from tests.dialogues.dialogue import Closed, Connect, Get, Leave, Line, Names, Outside, Send, Step

Connecting = Callable[[str], AbstractAsyncContextManager[Any]]
"""Opens the socket (tests/adapters/web/conftest.py) of an address in a dialogue."""
Sync = Callable[[str], tuple[str, Callable[[dict[str, Any]], bool]]]
"""With an id nobody has used: a frame to ask with, and how its answer is known."""
Happen = Callable[[str], Awaitable[bool]]
"""Lets happen what a `*` line says; False when it cannot happen to a real server."""


@dataclass
class LiveClient:
    socket: Any
    leave: trio.Event = field(default_factory=trio.Event)
    unread: deque[dict[str, Any]] = field(default_factory=deque)
    closed: bool = False


class LivePlay:
    """One dialogue on one server. `left` is awaited when a client has gone."""

    def __init__(
        self, connect: Connecting, sync: Sync, happen: Happen, left: Callable[[], Awaitable[None]], names: Names
    ) -> None:
        self._connect, self._sync, self._happen, self._left, self._names = connect, sync, happen, left, names
        self._clients: dict[str, LiveClient] = {}
        self._syncs = 0

    async def play(self, lines: list[Line], called: str) -> int:
        """How many lines could be played. Raises AssertionError, with the line, where it does not go as written."""
        async with trio.open_nursery() as nursery:
            for n, line in enumerate(lines):
                try:
                    if not await self._perform(line.step, nursery):
                        nursery.cancel_scope.cancel()
                        return n
                except AssertionError as error:
                    error.add_note(f"at {called}:{line.number}: {line.step}")
                    raise
            await self._come_level()
            nursery.cancel_scope.cancel()
        return len(lines)

    async def _perform(self, step: Step, nursery: trio.Nursery) -> bool:
        match step:
            case Get(who, frame):
                got = await self._next(self._clients[who])
                assert not self._names.differences(frame, got), got
                return True
            case Closed(who, code, reason):
                assert await self._clients[who].socket.closed() == (code, reason)
                self._clients.pop(who).leave.set()
                return True
            case _:
                await self._come_level()
                return await self._act(step, nursery)

    async def _act(self, step: Connect | Send | Leave | Outside, nursery: trio.Nursery) -> bool:
        match step:
            case Connect(who, address):
                self._clients[who] = await nursery.start(self._attend, self._names.fill(address))
            case Send(who, text):
                binary, content = text.startswith("<binary> "), self._names.fill(text.removeprefix("<binary> "))
                await self._clients[who].socket.wire.send_message(content.encode() if binary else content)
            case Leave(who):
                self._clients.pop(who).leave.set()
                await self._left()
            case Outside(what):
                return await self._happen(self._names.fill(what))
        return True

    async def _attend(self, address: str, task_status: trio.TaskStatus[LiveClient]) -> None:
        async with self._connect(address) as socket:
            client = LiveClient(socket)
            task_status.started(client)
            await client.leave.wait()

    async def _next(self, client: LiveClient) -> dict[str, Any]:
        if client.unread:
            return client.unread.popleft()
        return dict(await client.socket.frame())

    async def _come_level(self) -> None:
        """What clients got without the dialogue saying so is found here."""
        for _ in range(2):
            for client in self._clients.values():
                await self._ask(client)
        assert not [unread for client in self._clients.values() for unread in client.unread], "got more than it says"

    async def _ask(self, client: LiveClient) -> None:
        self._syncs += 1
        frame, is_answer = self._sync(f"sync-{self._syncs}")
        await client.socket.wire.send_message(frame)
        while not is_answer(got := dict(await client.socket.frame())):
            client.unread.append(got)
