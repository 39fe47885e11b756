"""Clients that do not read, do not speak, or are gone without a word: none holds up the others, or the server's end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import trio

from tests.adapters.server.conftest import MEBI, QUICK, WRITE_DEADLINE, Running
from tests.adapters.server.process import ServerProcess, until
from tests.adapters.server.raw import CLOSE, PING, PONG, Gone, Wire, close, frame, heartbeat, request, speech

SILENCE_LIMIT = 2.0
A_BEAT = 1.0
"""Seconds between two looks at who is silent."""
LOUD = "x" * 60_000
WIDE = {"CALLBOARD_OUTLET_BYTES": "64 MiB"}
"""So that the deadline is what evicts."""


async def listen(wire: Wire, heard: list[int]) -> None:
    """Read all, and note the numbers of what is said."""
    try:
        while True:
            told = await wire.told("speech_event")
            heard.append(told["payload"]["data"].get("number", -1))
    except (Gone, trio.TooSlowError):
        pass


async def shout(wire: Wire, count: int) -> None:
    """Say that many large things, all of which everybody hears: the next when one is heard, as who reads keeps up."""
    for number in range(count):
        await wire.send(speech(number=number, pad=LOUD))
        await wire.told("speech_event")


@asynccontextmanager
async def everybody(server: ServerProcess, id: str, count: int) -> AsyncIterator[list[Wire]]:
    async with trio.open_nursery() as nursery:
        wires: list[Wire] = []
        done = trio.Event()

        async def stay() -> None:
            async with server.talk(id) as wire:
                wires.append(wire)
                await done.wait()

        for _ in range(count):
            nursery.start_soon(stay)
        await until(lambda: len(wires) == count, 5)
        yield wires
        done.set()


@pytest.mark.parametrize("settings", [WIDE, {"CALLBOARD_OUTLET_BYTES": "256 KiB"}], ids=["wide", "narrow"])
async def test_a_client_that_never_reads_is_gone_by_the_deadline_and_nobody_waits_for_it(
    running: Running, settings: dict[str, str]
) -> None:
    server = running(**settings)
    id = await server.opened()
    async with everybody(server, id, 3) as (speaker, *others), server.talk(id, receive_buffer=4096):
        # The speaker hears itself, so it is among those nobody may keep waiting.
        before = server.sockets
        heard: list[list[int]] = [[] for _ in others]
        async with trio.open_nursery() as nursery:
            for wire, list_ in zip(others, heard, strict=True):
                nursery.start_soon(listen, wire, list_)
            await shout(speaker, 200)
            took = await until(lambda: server.sockets < before, WRITE_DEADLINE + 1, "the stalled one is evicted")
            await until(lambda: all(len(numbers) == 200 for numbers in heard), 3, "all others heard all")
            nursery.cancel_scope.cancel()
        assert took < WRITE_DEADLINE + 1
        assert heard == [list(range(200))] * len(others)
        await server.down_to(3, id)


@pytest.mark.parametrize("size", [100, 3000, 60_000])
async def test_who_reads_too_late_gets_whole_frames_without_a_gap_and_is_told_that_it_was_too_slow(
    running: Running, size: int
) -> None:
    """Frames are dropped while some of them are on their way: what has begun to leave must leave, and nothing else."""
    server = running(CALLBOARD_OUTLET_BYTES="64 KiB", CALLBOARD_WRITE_DEADLINE="5")
    id = await server.opened()
    async with server.talk(id) as speaker, server.talk(id, receive_buffer=4096) as late:
        said = 0
        while await server.clients(id) > 1:
            batch = max(1, 30_000 // size)
            await speaker.send(*(speech(number=said + number, pad="x" * size) for number in range(batch)))
            for _ in range(batch):
                await speaker.told("speech_event")
            said += batch
        numbers = []
        while (found := await late.frame()).opcode != CLOSE:
            told = msgspec.json.decode(found.payload)
            if told["type"] == "speech_event":
                numbers.append(told["payload"]["data"]["number"])
        assert found.code == 4008
        assert numbers == list(range(len(numbers)))
        assert len(numbers) < said


async def test_who_reads_nothing_of_http_answers_is_gone_by_the_deadline(server: ServerProcess) -> None:
    id = await server.opened()
    async with server.talk(id) as wire, server.connect(receive_buffer=4096) as greedy:
        await greedy.send(request("/nowhere"))
        await greedy.answer()
        before = server.sockets
        with trio.move_on_after(WRITE_DEADLINE + 1.5):
            try:
                while True:
                    await greedy.send(request("/nowhere") * 1000)
            except (Gone, trio.TooSlowError):
                pass
        await until(lambda: server.sockets < before, WRITE_DEADLINE + 1, "it is evicted")
        assert await server.answers(wire, "served") < 1


async def test_the_end_waits_for_nobody_who_does_not_read(tmp_path: Path) -> None:
    settings = {**QUICK, **WIDE, "CALLBOARD_WRITE_DEADLINE": "60", "CALLBOARD_GRACEFUL_TIMEOUT": "2"}
    server = ServerProcess(tmp_path, **settings)
    server.start()
    try:
        id = await server.opened()
        async with server.talk(id) as speaker, server.talk(id, receive_buffer=4096), server.talk(id) as reader:
            heard: list[int] = []
            async with trio.open_nursery() as nursery:
                nursery.start_soon(listen, reader, heard)
                await shout(speaker, 100)
                await until(lambda: len(heard) == 100, 3)
                nursery.cancel_scope.cancel()
            server.terminate()
            assert (await reader.closed()).code == 1012
            assert await server.ended(2 + 1) == 0
        assert server.faults == []
    finally:
        server.stop()


async def test_who_goes_without_a_word_in_a_storm_freezes_nothing(server: ServerProcess) -> None:
    id = await server.opened()
    async with everybody(server, id, 20) as wires, server.talk(await server.opened()) as bystander:
        speaker, *listeners = wires
        heard: list[list[int]] = [[] for _ in listeners[:9]]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen, speaker, [])
            for wire, list_ in zip(listeners[:9], heard, strict=True):
                nursery.start_soon(listen, wire, list_)
            waits = []
            for number in range(500):
                await speaker.send(speech(number=number))
                if number % 50 == 25:
                    listeners[9 + number // 50].vanish()
                    waits.append(await server.answers(bystander, str(number)))
            await until(lambda: all(len(numbers) == 500 for numbers in heard), 5)
            nursery.cancel_scope.cancel()
        assert heard == [list(range(500))] * 9
        assert max(waits) < 1
        await server.down_to(10, id, 2)


async def test_a_ping_is_answered_and_a_going_seen_behind_many_messages_nobody_has_read(server: ServerProcess) -> None:
    id = await server.opened()
    async with server.talk(id) as bystander, server.talk(id) as wire:
        await wire.send(*(speech(number=number) for number in range(60)), frame(PING, b"who is there"))
        with trio.fail_after(3):
            while (found := await wire.frame()).opcode != PONG:
                pass
        assert found.payload == b"who is there"
        await wire.send(*(speech(number=number) for number in range(60)))
        wire.vanish()
        await server.down_to(1, id, 3)
        await server.answers(bystander, "served")


async def test_who_ends_its_half_of_the_connection_has_left(server: ServerProcess) -> None:
    id = await server.opened()
    async with server.talk(id) as wire:
        stream = wire.stream
        assert isinstance(stream, trio.SocketStream)
        await stream.send_eof()
        await server.down_to(0, id, 2)
        await wire.gone()


async def test_who_does_not_answer_a_close_is_cut_off(server: ServerProcess) -> None:
    id = await server.opened()
    async with server.talk(id) as wire:
        before = server.sockets
        await server.call("PUT", f"/api/v2/conversations/{id}/end")
        assert (await wire.closed()).code == 1000
        await until(lambda: server.sockets < before, 4, "the connection is cut off")


# --- silence ---


@pytest.fixture
def silent(running: Running) -> ServerProcess:
    return running(CALLBOARD_SILENCE_LIMIT=str(SILENCE_LIMIT))


async def test_who_answers_no_ping_and_says_nothing_is_told_so_and_dropped(silent: ServerProcess) -> None:
    id = await silent.opened()
    async with silent.talk(id) as wire:
        before = silent.sockets
        wire.answers_pings = False
        began = trio.current_time()
        assert (await wire.closed()).code == 4009
        assert trio.current_time() - began < SILENCE_LIMIT + A_BEAT + 0.5
        assert wire.pings >= 1
        await until(lambda: silent.sockets < before, 4, "the connection is cut off")
        assert await silent.clients(id) == 0


async def test_who_answers_pings_or_speaks_stays(silent: ServerProcess) -> None:
    id = await silent.opened()
    async with silent.talk(id) as quiet, silent.talk(id) as speaking:
        speaking.answers_pings = False
        ended: list[str] = []

        async def hear(wire: Wire, name: str) -> None:
            try:
                while True:
                    await wire.frame()
            except Gone:
                ended.append(name)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(hear, quiet, "quiet")
            nursery.start_soon(hear, speaking, "speaking")
            for _ in range(8):
                await trio.sleep(SILENCE_LIMIT / 4)
                await speaking.send(heartbeat("here"))
            nursery.cancel_scope.cancel()
        assert ended == []
        assert quiet.pings >= 1
        assert await silent.clients(id) == 2


async def test_pings_without_being_asked_and_pongs_nobody_asked_for_are_signs_of_life(silent: ServerProcess) -> None:
    async with silent.talk(await silent.opened()) as wire:
        wire.answers_pings = False
        for number in range(6):
            await trio.sleep(SILENCE_LIMIT / 3)
            await wire.send(frame(PONG if number % 2 else PING, b"unasked"))
        await silent.answers(wire, "still here")
        await wire.send(close())
        await wire.closed()


def test_a_large_thing_is_as_large_as_it_should_be() -> None:
    """The stalled one must be owed more than kernels keep: 200 of them are over 10 MB."""
    assert 200 * len(msgspec.json.encode(LOUD)) > 10 * MEBI
