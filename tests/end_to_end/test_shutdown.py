"""SIGTERM in the middle of it all: the server is gone in time whatever clients do, and nobody has missed a thing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
import trio

from adapters.opening import open_history
from adapters.protocols.conversations import CONVERSATIONS
from adapters.setting_values import StoreAddress
from core.conversation import conversation
from core.identifiers import Category, StreamName
from tests.adapters.server.process import PLENTY, ServerProcess, until
from tests.adapters.server.raw import CLOSE, TEXT, Gone, Wire, speech

CLIENTS, DEAF = 500, 50
CONVERSATIONS_HELD = 5
GRACEFUL_TIMEOUT = 5.0
LOUD = "x" * 20_000
"""So that who does not read is soon owed more than kernels keep."""


class Door:
    """How many are here; few enter at a time, as the clients of this test share one process."""

    def __init__(self) -> None:
        self.limiter, self.entered = trio.CapacityLimiter(20), 0


@dataclass
class Follower:
    """A client that notes every frame of the log it is shown, over all its connections."""

    id: str
    epoch: str = ""
    first: int = 0
    seen: list[tuple[int, bytes]] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    recovered: list[bool] = field(default_factory=list)

    async def follow(self, server: ServerProcess, door: Door, until_said: str) -> None:
        """Listen until the server closes, or somebody has said that word."""
        async with server.connect() as wire:
            async with door.limiter:
                answer = await wire.shake(f"/api/ws/conversations/{self.id}{self._since()}")
                assert answer.status == 101
                greeting = await wire.told("state_update")
            door.entered += 1
            self.epoch, self.first = self.epoch or greeting["epoch"], self.first or greeting["seq"]
            self.recovered.append(greeting["recovered"])
            await self._listen(wire, until_said.encode())

    def _since(self) -> str:
        if not self.epoch:
            return ""
        return f"?since={self.seen[-1][0] if self.seen else self.first}&epoch={self.epoch}"

    async def _listen(self, wire: Wire, until_said: bytes) -> None:
        while True:
            frame = await wire.frame()
            if frame.opcode == CLOSE:
                self.codes.append(frame.code)
                return
            assert frame.opcode == TEXT
            seq = msgspec.json.decode(frame.payload).get("seq")
            if seq is not None and seq > self.first:
                self.seen.append((seq, frame.payload))
            if until_said in frame.payload:
                return


async def stay_deaf(server: ServerProcess, id: str, door: Door, done: trio.Event) -> None:
    async with server.talk(id, receive_buffer=4096):
        door.entered += 1
        await done.wait()


async def keep_talking(server: ServerProcess, id: str, said: list[int]) -> None:
    """Say something every few milliseconds until the server goes."""
    try:
        async with server.talk(id) as wire, trio.open_nursery() as nursery:
            nursery.start_soon(hear_all, wire)
            while True:
                await wire.send(speech(number=len(said), pad=LOUD))
                said.append(1)
                await trio.sleep(0.02)
    except* (Gone, OSError):
        pass


async def hear_all(wire: Wire) -> None:
    while True:
        await wire.frame()


async def shown(log: Path, id: str) -> list[tuple[int, bytes]]:
    """What the log says everybody was shown, by version."""
    frames, state = [], conversation.initial
    async with open_history(StoreAddress(log)) as store:
        for record in await store.read_stream(StreamName.of(Category.CONVERSATION, id)):
            state = conversation.fold(state, (record.event,))
            if frame := CONVERSATIONS.render(record, state):
                frames.append((record.version, bytes(frame.body)))
    return frames


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    settings = PLENTY | {
        "CALLBOARD_STORE": f"sqlite:///{tmp_path / 'log.db'}",
        "CALLBOARD_GRACEFUL_TIMEOUT": str(GRACEFUL_TIMEOUT),
        "CALLBOARD_OUTLET_BYTES": "64 MiB",  # those who do not read stay, and have much to be told still
        "CALLBOARD_WRITE_DEADLINE": "60",
    }
    server = ServerProcess(tmp_path / "server", **settings)
    server.start()
    yield server
    server.stop()


async def test_sigterm_ends_it_in_time_and_who_comes_back_has_missed_nothing(
    server: ServerProcess, tmp_path: Path
) -> None:
    ids = [await server.opened() for _ in range(CONVERSATIONS_HELD)]
    followers = [Follower(ids[number % len(ids)]) for number in range(CLIENTS - DEAF)]
    said: list[list[int]] = [[] for _ in ids]
    done = trio.Event()
    async with trio.open_nursery() as nursery:
        door = Door()
        for number in range(DEAF):
            nursery.start_soon(stay_deaf, server, ids[number % len(ids)], door, done)
        for follower in followers:
            nursery.start_soon(follower.follow, server, door, "nothing ends it")
        await until(lambda: door.entered == CLIENTS, 30, "all are there")
        for id, count in zip(ids, said, strict=True):
            nursery.start_soon(keep_talking, server, id, count)
        await until(lambda: min(map(len, said)) > 30, 30, "all talk")
        server.terminate()
        assert await server.ended(GRACEFUL_TIMEOUT) == 0
        done.set()
    assert {tuple(follower.codes) for follower in followers} == {(1012,)}, "every reading client is told why"
    assert server.faults == []

    server.start()
    async with trio.open_nursery() as nursery:
        for follower in followers:
            nursery.start_soon(follower.follow, server, door, "the very last word")
        await until(lambda: door.entered == CLIENTS + len(followers), 30, "all are back")
        for id in ids:
            async with server.talk(id) as wire:
                await wire.send(speech(word="the very last word"))
                await wire.told("speech_event")
    for id in ids:
        await check(id, [follower for follower in followers if follower.id == id], await shown(tmp_path / "log.db", id))


async def check(id: str, followers: list[Follower], log: list[tuple[int, bytes]]) -> None:
    """What each has assembled is the log from where it began, each frame once, in order, byte for byte."""
    for follower in followers:
        last = follower.seen[-1][0]
        assert follower.recovered == [False, True]
        assert follower.seen == [frame for frame in log if follower.first < frame[0] <= last]
        assert b"the very last word" in follower.seen[-1][1]
