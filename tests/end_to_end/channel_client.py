"""Who hears a channel, and who publishes on it: in the test's own process, or as `python -m` this in one of its own.

In a process of its own it says on stdout when it is subscribed, and goes on until a line comes on stdin: to who
publishes, that it is time to stop; to who hears, the position to hear up to. Then it says what came of it.
"""

from __future__ import annotations

import math
import random
import sys
from abc import ABC, abstractmethod

import structlog
import trio
from msgspec import Struct, json

from actors.backoff import Backoff
from adapters.clients.channels import WebSocketManager
from adapters.clients.outbox import Outbox

QUICK = Backoff(random.random, first=0.02, cap=0.2)
PATIENCE = 30.0
"""Seconds a client may need to be subscribed, and then to hear what it has missed."""


class Note(Struct, frozen=True, array_like=True):
    """One publish: whose it was, its number there, and its place in the log."""

    who: str
    number: int
    position: int | None = None


class Began(Struct, frozen=True):
    position: int


class Report(Struct, frozen=True):
    """What came of a client. `began` is the position it was subscribed at, or a later one.

    `dropped` and `unsure` are the numbers of the last that were, `dropped_count` is how many were.
    """

    began: int
    losses: int
    gaps: int
    heard: list[Note] = []
    published: int = 0
    dropped_count: int = 0
    dropped: list[int] = []
    unsure: list[int] = []


class Client(ABC):
    """One subscription, for as long as `run` runs."""

    def __init__(self, uri: str, channel: str, most: int = 1000) -> None:
        self.manager = WebSocketManager(uri, channel, outbox=Outbox(most=most), backoff=QUICK)
        self.began = 0

    async def run(self, *, task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED) -> None:
        async with self.manager:
            await self.manager.connect(PATIENCE)
            self.began = self.manager.position or 0
            task_status.started(self.began)
            await self.go_on()

    @abstractmethod
    async def go_on(self) -> None:
        """Hear, or publish, until it is over."""

    @abstractmethod
    async def end(self, line: str) -> Report:
        """It is over, as `line` says. What came of it."""


class Ear(Client):
    """Hears everything, up to the position it is told at the end."""

    def __init__(self, uri: str, channel: str) -> None:
        super().__init__(uri, channel)
        self._heard: list[Note] = []
        self._upto, self._done = math.inf, trio.Event()

    async def go_on(self) -> None:
        async for message in self.manager:
            self._heard.append(Note(message.payload["who"], message.payload["number"], message.position))
            self._look()

    async def end(self, line: str) -> Report:
        self._upto = int(line)
        self._look()
        with trio.fail_after(PATIENCE):
            await self._done.wait()
        return Report(self.began, self.manager.losses, self.manager.gaps, self._heard)

    def _look(self) -> None:
        if self._heard and (self._heard[-1].position or 0) >= self._upto:
            self._done.set()


class Mouth(Client):
    """Publishes numbers until it is told to stop, and never takes what it hears."""

    def __init__(self, uri: str, channel: str, name: str, most: int = 1000) -> None:
        super().__init__(uri, channel, most)
        self._name, self._published, self._stopping = name, 0, False

    async def go_on(self) -> None:
        while not self._stopping:
            self.manager.publish({"who": self._name, "number": self._published})
            self._published += 1
            await trio.sleep(random.uniform(0.0, 0.04))
        await trio.sleep_forever()  # till it has left

    async def end(self, line: str) -> Report:  # the other one's signature
        """What became of all that was published. The server is there."""
        self._stopping = True
        manager = self.manager
        with trio.fail_after(PATIENCE):
            await manager.flushed()
        await manager.close()
        dropped, unsure = ([payload["number"] for payload in lost] for lost in (manager.dropped, manager.unsure))
        return Report(
            self.began, manager.losses, manager.gaps, [], self._published, manager.dropped_count, dropped, unsure
        )


async def main(*arguments: str) -> None:
    kind, uri, channel, name, most = arguments
    client = Ear(uri, channel) if kind == "hear" else Mouth(uri, channel, name, int(most))
    async with trio.open_nursery() as nursery:
        say(Began(await nursery.start(client.run)))
        say(await client.end(await trio.to_thread.run_sync(sys.stdin.readline)))
        nursery.cancel_scope.cancel()


def say(what: Struct) -> None:
    print(json.encode(what).decode(), flush=True)


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # stdout is for who started it
    trio.run(main, *sys.argv[1:])
