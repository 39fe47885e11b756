"""kill -9 and restarts while a channel is in use, by clients of one process and of more: the log is what all hear."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest
import trio
from msgspec import Struct, json

from adapters.demo.server import Server
from adapters.opening import open_history
from adapters.setting_values import StoreAddress
from core.channel import Published, stream_of
from tests.adapters.server.raw import Gone, connected, handshake, text
from tests.end_to_end.channel_client import Began, Ear, Mouth, Note, Report

ROUNDS = int(os.environ.get("CALLBOARD_CHANNEL_ROUNDS", "3"))
CHANNEL = "news"
ROOT = Path(__file__).parents[2]
SMALL = 10
"""Of an outbox that does not hold what is published while the server is away."""

S = TypeVar("S", bound=Struct)


class Process:
    """A client in a process of its own."""

    def __init__(self, process: trio.Process) -> None:
        self._process, self._said = process, b""

    async def next(self, kind: type[S]) -> S:
        assert self._process.stdout is not None
        while b"\n" not in self._said:
            self._said += (more := await self._process.stdout.receive_some())
            assert more, "it ended without a word"
        line, _, self._said = self._said.partition(b"\n")
        return json.decode(line, type=kind)

    async def end(self, line: str) -> Report:
        assert self._process.stdin is not None
        await self._process.stdin.send_all(f"{line}\n".encode())
        report = await self.next(Report)
        await self._process.wait()
        return report


@asynccontextmanager
async def process(kind: str, uri: str, name: str, most: int = 1000) -> AsyncIterator[Process]:
    command = [sys.executable, "-m", "tests.end_to_end.channel_client", kind, uri, CHANNEL, name, str(most)]
    one = await trio.lowlevel.open_process(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT
    )
    try:
        yield Process(one)
    finally:
        one.kill()
        await one.wait()


async def publish_and_never_read(port: int, name: str) -> None:
    """Subscribed, too. It knows no ids and sends nothing again: what was lost with a connection is lost."""
    number = 0
    while True:
        try:
            async with connected(port) as wire:
                await wire.send(handshake("/"), text({"type": "subscribe", "payload": {"channel": CHANNEL}}))
                while True:
                    await wire.send(text({"type": CHANNEL, "payload": {"who": name, "number": number}}))
                    number += 1
                    await trio.sleep(random.uniform(0.0, 0.04))
        except (Gone, OSError):
            await trio.sleep(0.05)


class Scene:
    """The clients of one channel, by their names."""

    def __init__(self, uri: str, stack: AsyncExitStack, nursery: trio.Nursery) -> None:
        self._uri, self._stack, self._nursery = uri, stack, nursery
        self.ears: dict[str, Ear | Process] = {}
        self.mouths: dict[str, Mouth | Process] = {}

    async def come(self) -> None:
        """Those who hear, and then those who publish; of each kind there are some here, and some elsewhere."""
        async with trio.open_nursery() as nursery:
            for name in ("here", "there", "over there"):
                nursery.start_soon(self.hear, name)
        async with trio.open_nursery() as nursery:
            for name, most in (("here", 1000), ("there", 1000), ("over there", SMALL)):
                nursery.start_soon(self._publish, name, most)

    async def hear(self, name: str) -> None:
        if name.endswith("there"):
            self.ears[name] = await self._start("hear", name)
            return
        self.ears[name] = ear = Ear(self._uri, CHANNEL)
        await self._nursery.start(ear.run)

    async def _publish(self, name: str, most: int) -> None:
        if name.endswith("there"):
            self.mouths[name] = await self._start("publish", name, most)
            return
        self.mouths[name] = mouth = Mouth(self._uri, CHANNEL, name, most)
        await self._nursery.start(mouth.run)

    async def _start(self, kind: str, name: str, most: int = 0) -> Process:
        started = await self._stack.enter_async_context(process(kind, self._uri, name, most))
        await started.next(Began)
        return started


async def ends_of(clients: Mapping[str, Ear | Mouth | Process], line: str) -> dict[str, Report]:
    return {name: await client.end(line) for name, client in clients.items()}


async def go_through(server: Server, scene: Scene, rounds: int, moments: random.Random) -> None:
    """The server ends, by a signal or another, and comes again; somebody comes late."""
    for round in range(rounds):
        await trio.sleep(moments.uniform(0.1, 0.5))
        await (server.stop() if round % 3 == 1 else server.kill())
        await server.start()
        if round == rounds // 2:
            await scene.hear("late")
    await trio.sleep(0.3)


async def carried(log: Path) -> list[Note]:
    """What the log says was published."""
    async with open_history(StoreAddress(log)) as store:
        records = await store.read_stream(stream_of(CHANNEL))
    published = [(record.event.payload, record.position) for record in records if isinstance(record.event, Published)]
    return [Note(payload["who"], payload["number"], position) for payload, position in published]


async def test_what_the_log_says_was_published_is_heard_by_all_and_what_is_not_in_it_was_said_to_be_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLBOARD_GRACEFUL_TIMEOUT", "1")  # who never reads does not answer a close either
    server, log = Server(tmp_path / "channels.db"), tmp_path / "channels.db"
    await server.start()
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        scene = Scene(f"ws://127.0.0.1:{server.port}/", stack, nursery)
        await scene.come()
        async with trio.open_nursery() as mute:
            mute.start_soon(publish_and_never_read, server.port, "mute")
            await go_through(server, scene, ROUNDS, random.Random(ROUNDS))
            mute.cancel_scope.cancel()
        told = await ends_of(scene.mouths, "stop")
        published = await carried(log)
        heard = await ends_of(scene.ears, str(published[-1].position))
        nursery.cancel_scope.cancel()
    await server.stop()
    check_published(published, told)
    for name, report in heard.items():
        check_heard(published, report, is_late=name == "late")
    await trio.run_process([sys.executable, "-m", "adapters.cli", "verify", "--store", server.store], cwd=ROOT)


def check_published(published: list[Note], told: dict[str, Report]) -> None:
    numbers = {who: [note.number for note in published if note.who == who] for who in (*told, "mute")}
    assert len(published) == sum(len(its) for its in numbers.values())
    for who, its in numbers.items():
        assert its == sorted(set(its)), f"{who}: each once, in its order"
    assert len(numbers["mute"]) > ROUNDS
    for who, report in told.items():
        assert report.losses > 0, "it met its case"
        assert len(report.unsure) == 0 < report.published
        missing = sorted(set(range(report.published)) - set(numbers[who]))
        assert len(missing) == report.dropped_count, "what is not in the log was said to be dropped, and nothing else"
        assert missing[len(missing) - len(report.dropped) :] == report.dropped
    assert told["over there"].dropped, "something did not fit into a small outbox"


def check_heard(published: list[Note], report: Report, *, is_late: bool) -> None:
    assert report.gaps == 0
    assert report.losses > 0, "it met its case"
    assert report.heard, "there was something to hear"
    assert report.heard == published[-len(report.heard) :], "all to the end, each once, in the log's order"
    if not is_late:
        assert report.heard == published
