"""Anything at all, at every door: the server answers on, and says nothing of its insides.

CALLBOARD_FUZZ_CASES=100000 takes some three minutes on two cores; another CALLBOARD_FUZZ_SEED sends other cases.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio

from tests.adapters.server.process import PLENTY, ServerProcess
from tests.adapters.server.raw import Gone, Wire, connected, handshake, text
from tests.end_to_end.mutations import Fuzz

IN_CI = os.environ.get("CI") == "true"
CASES = int(os.environ.get("CALLBOARD_FUZZ_CASES", "12000" if IN_CI else "5000"))
SEED = int(os.environ.get("CALLBOARD_FUZZ_SEED", "20261121"))
AT_ONCE = 32
"""Connections that send at the same time."""
A_CONNECTION = 40
"""Cases sent over one connection, as long as they break nothing."""
MEBI = 2**20
MOST_GROWTH = 192 * MEBI
"""Bytes of memory the server may take for all of it; what it must keep (conversations, their log's tail) is some."""
STATUS = re.compile(rb"HTTP/1.1 (\d{3})")
QUIET, LAST_WORDS = 0.3, 5.0
"""Seconds after which nothing more is expected: of one who waits for more of us, and of one told that we are done."""
INSIDES = re.compile(rb'Traceback \(most|site-packages|File "[^"]*\.py"')


@dataclass
class Assault:
    """What was sent so far, and what came back that should not."""

    fuzz: Fuzz
    id: str
    sent: int = 0
    leaks: list[bytes] = field(default_factory=list)
    answers: Counter[bytes] = field(default_factory=Counter)
    last: bytes = b""

    async def requests(self, wire: Wire) -> None:
        """Many right ones and one wrong one in one go."""
        many = [self.fuzz.request(self.id) for _ in range(A_CONNECTION - 1)]
        await self._exchange(wire, *many, self.fuzz.broken_request(self.id))

    async def handshakes(self, wire: Wire) -> None:
        await self._exchange(wire, self.fuzz.handshake(self.id), *(self.fuzz.message() for _ in range(3)))

    async def messages(self, wire: Wire) -> None:
        """A right handshake, many frames by the rules, and then one that breaks them."""
        path, examples = self.fuzz.talk()
        many = [self.fuzz.message(examples) for _ in range(A_CONNECTION - 1)]
        await self._exchange(wire, handshake(path.format(id=self.id)), *many, self.fuzz.broken_frame())

    async def frames(self, wire: Wire) -> None:
        """A right handshake, and frames that break the rules."""
        many = [self.fuzz.broken_frame() for _ in range(3)]
        await self._exchange(wire, handshake(f"/api/ws/conversations/{self.id}"), *many)

    async def _exchange(self, wire: Wire, *parts: bytes) -> None:
        self.sent += len(parts)
        self.last = parts[-1]
        try:
            await wire.send(*parts)
        except (Gone, trio.TooSlowError):
            pass
        stream = wire.stream
        assert isinstance(stream, trio.SocketStream)
        try:
            if await self._read(stream, QUIET):
                await stream.send_eof()
                await self._read(stream, LAST_WORDS)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async def _read(self, stream: trio.SocketStream, patience: float) -> bool:
        """All that comes back; whether the connection is open still when nothing more comes."""
        while True:
            with trio.move_on_after(patience) as quiet:
                chunk = await stream.receive_some(65536)
            if quiet.cancelled_caught:
                return True
            if not chunk:
                return False
            if INSIDES.search(chunk):
                self.leaks.append(chunk)
            self.answers.update(STATUS.findall(chunk))


async def attack(server: ServerProcess, assault: Assault) -> None:
    kinds = assault.requests, assault.messages, assault.frames, assault.handshakes
    while assault.sent < CASES:
        kind = assault.fuzz.random.choice(kinds)
        async with connected(server.port) as wire:
            await kind(wire)


@asynccontextmanager
async def talking(server: ServerProcess) -> AsyncIterator[list[float]]:
    """An ordinary conversation beside it all, which must go on; gives how long each of its answers took, in seconds."""
    waits: list[float] = []
    async with server.talk(await server.opened()) as wire, trio.open_nursery() as nursery:

        async def talk() -> None:
            while True:
                number = len(waits)
                waits.append(await server.answers(wire, f"beat-{number}"))
                payload = {"final_transcript": f"word-{number}"}
                await wire.send(text({"type": "transcript_update", "payload": payload, "command_id": f"w-{number}"}))
                while (await wire.told("transcript_update")).get("command_id") != f"w-{number}":
                    pass
                await trio.sleep(0.05)

        nursery.start_soon(talk)
        yield waits
        nursery.cancel_scope.cancel()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    settings = PLENTY | {
        "CALLBOARD_STORE": f"sqlite:///{tmp_path / 'log.db'}",
        "CALLBOARD_MAX_FRAME_BYTES": "256 KiB",
        "CALLBOARD_HANDSHAKE_DEADLINE": "2",
        "CALLBOARD_RESPONSE_TIMEOUT": "2",
    }
    server = ServerProcess(tmp_path / "server", **settings)
    server.start()
    yield server
    server.stop()


async def test_whatever_is_sent_the_server_answers_on(server: ServerProcess) -> None:
    assault = Assault(Fuzz(SEED), await server.opened())
    before = server.forget_peak()
    async with talking(server) as waits:
        try:
            async with trio.open_nursery() as nursery:
                for _ in range(AT_ONCE):
                    nursery.start_soon(attack, server, assault)
        finally:
            print(f"CALLBOARD_FUZZ_SEED={SEED}: {assault.sent} cases; the last one was {assault.last[:500]!r}")
            print(assault.answers)
        assert len(waits) > 10, "somebody talked meanwhile"
    assert server.is_alive
    assert server.faults == []
    assert assault.leaks == []
    assert assault.answers.keys() >= {b"101", b"200", b"400", b"404", b"405", b"422"}, "the cases met their doors"
    assert max(waits) < 5
    assert server.peak - before < MOST_GROWTH
    async with server.talk(await server.opened()) as wire:
        assert await server.answers(wire, "still") < 1
