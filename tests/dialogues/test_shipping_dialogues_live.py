"""The dialogues of `shipping` once more, over real sockets, actors and a log."""

from __future__ import annotations

import json
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from actors.effects import Tell
from actors.system import open_system
from adapters.clock import SystemClock, TimeOrderedIdentifiers
from adapters.protocols.shipping.dialect import endpoints
from adapters.server.serve import ServerLimits, serve
from adapters.web.app import create_app, sockets_of
from core.identifiers import Category
from core.session import (
    DeviceLeft,
    ExpireAt,
    FailRates,
    FailToolCall,
    FetchRates,
    QuoteRates,
    RunTool,
    Session,
    SucceedToolCall,
    WatchDevices,
    session,
)
from eventstore.memory import MemoryStore
from tests.adapters.web.conftest import PATIENCE, Server
from tests.dialogues.dialogue import Line, Names, read_dialogue
from tests.dialogues.dialogue import Outside as Said
from tests.dialogues.sockets import LivePlay
from tests.dialogues.test_shipping_dialogues import FILES, envelope

FAULTS = ("mailbox is", "log is", "command is", "server restarts", "A is throttled")
"""What no client can bring about on a real server. A dialogue is played as far as the first of these."""


class SettableClock(SystemClock):
    """The machine's time, and what a dialogue lets pass."""

    def __init__(self) -> None:
        super().__init__()
        self.slept = 0

    def now(self) -> int:
        return super().now() + self.slept


class Outside:
    """What happens outside the sockets: the carrier answers, time passes."""

    def __init__(self) -> None:
        self.clock = SettableClock()
        self._wanted: dict[int, trio.MemorySendChannel[Any]] = {}
        self._arrived = trio.Condition()

    async def perform(self, effect: RunTool | FetchRates, state: Session, tell: Tell) -> None:
        """Wait for what the dialogue says, then tell it."""
        send, receive = trio.open_memory_channel[Any](1)
        async with self._arrived:
            self._wanted[effect.number] = send
            self._arrived.notify_all()
        await tell(await receive.receive())

    async def watch(self, effect: Any, state: Session, tell: Tell) -> None:
        await trio.sleep_forever()

    async def happen(self, what: str) -> bool:
        match shlex.split(what):
            case ["tool", number, "of", _, "gives", result]:
                await self._answer(SucceedToolCall(int(number), json.loads(result)))
            case ["tool", number, "of", _, "fails", reason]:
                await self._answer(FailToolCall(int(number), reason))
            case ["rates", number, "of", _, "are", quotes]:
                await self._answer(QuoteRates(int(number), json.loads(quotes)))
            case ["rates", number, "of", _, "fail", reason]:
                await self._answer(FailRates(int(number), reason))
            case ["an", "hour", "passes"]:
                self.clock.slept += 3_600_000_000
            case _:
                return False
        return True

    async def _answer(self, command: Any) -> None:
        with trio.fail_after(PATIENCE):
            async with self._arrived:
                while command.number not in self._wanted:
                    await self._arrived.wait()
        await self._wanted.pop(command.number).send(command)


@pytest.fixture
def outside() -> Outside:
    return Outside()


@pytest.fixture
async def server(outside: Outside, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    monkeypatch.setattr("adapters.protocols.shipping.endpoints", endpoints, raising=False)
    performers: Any = {
        RunTool: outside.perform,
        FetchRates: outside.perform,
        WatchDevices: outside.watch,
        ExpireAt: outside.watch,
    }
    deciders = {Category.SESSION: session}
    async with open_system(
        MemoryStore(),
        deciders=deciders,
        performers=performers,
        clock=outside.clock,
        identifiers=TimeOrderedIdentifiers(),
    ) as system:
        app, shutdown = create_app(system, deciders=deciders), trio.Event()
        sockets, limits = sockets_of(app), ServerLimits(graceful_timeout=0.1)
        run = partial(serve, app, ["127.0.0.1:0"], shutdown, limits=limits, drain=sockets.drain, tally=sockets.tally)
        async with trio.open_nursery() as children:
            [url] = await children.start(run)
            async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as http:
                yield Server(system, app, url, http, shutdown)
                shutdown.set()


def ask(id: str) -> tuple[str, Callable[[dict[str, Any]], bool]]:
    frame = json.dumps({"type": "get_session_state", "requestId": id})
    return frame, lambda got: got["requestId"] == id


def leaving(server: Server) -> Callable[[], Awaitable[None]]:
    """Waits until one device more has left."""
    so_far = 0

    async def left() -> None:
        nonlocal so_far
        so_far += 1
        with trio.fail_after(PATIENCE):
            seen = 0
            async for batch in server.system.store.subscribe():
                seen += sum(isinstance(record.event, DeviceLeft) for record in batch)
                if seen >= so_far:
                    return

    return left


def playable(lines: Sequence[Line]) -> int:
    """How many lines come before the first fault."""
    faults = (n for n, line in enumerate(lines) if isinstance(line.step, Said) and line.step.what.startswith(FAULTS))
    return next(faults, len(lines))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_the_dialogue_goes_as_written_over_real_sockets(path: Path, server: Server, outside: Outside) -> None:
    lines = read_dialogue(path, envelope)
    play = LivePlay(lambda address: server.connect(f"/ws{address}"), ask, outside.happen, leaving(server), Names())
    with trio.fail_after(60):
        assert await play.play(lines, path.name) == playable(lines)


def test_most_of_the_dialogues_lines_are_played() -> None:
    dialogues = [read_dialogue(path, envelope) for path in FILES]
    assert sum(map(playable, dialogues)) > 0.75 * sum(map(len, dialogues))
