from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors.backoff import Backoff
from adapters.channel_mirror import keep_mirrored, mirror
from adapters.clients.channels import WebSocketManager
from adapters.clients.follower import Closed
from core.channel import Published, stream_of
from core.messages import Decision, Stamp
from eventstore.memory import MemoryStore
from tests.adapters.clients.test_channels import ScriptedServer, closes, plain, until

QUICK = Backoff(lambda: 1.0, first=0.5, cap=2.0)


async def carry(store: MemoryStore, *numbers: int, channel: str = "news") -> None:
    stream = stream_of(channel)
    version = len(await store.read_stream(stream))
    events = tuple(Published(channel, {"n": n}) for n in numbers)
    await store.append(stream, [Decision(Stamp("c", 0), None, events)], expected_version=version)


def manager_of(server: ScriptedServer) -> WebSocketManager:
    return WebSocketManager("ws://elsewhere.test", "theirs", dial=server.dial, backoff=QUICK)


def heard(server: ScriptedServer) -> list[Any]:
    frames = [frame for visit in server.visits for frame in visit.got if frame["type"] == "theirs"]
    return [frame["payload"]["n"] for frame in frames]


async def test_what_a_channel_carries_is_published_elsewhere_also_after_a_pause(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    store, server = MemoryStore(), ScriptedServer((plain,), nursery)
    await carry(store, 1)
    for numbers in ((2, 3), (5,)):
        async with manager_of(server) as manager, trio.open_nursery() as mirroring:
            mirroring.start_soon(mirror, store, "news", manager, QUICK)
            await trio.sleep(1)
            await carry(store, *numbers)
            await carry(store, 99, channel="sport")
            await until(lambda last=numbers[-1]: last in heard(server))  # type: ignore[misc]
            await trio.sleep(1)
            mirroring.cancel_scope.cancel()
        if 4 not in heard(server):
            await carry(store, 4)
    assert heard(server)[:4] == [2, 3, 4, 5]


async def test_while_the_other_server_is_away_the_log_keeps_all(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    store, server = MemoryStore(), ScriptedServer((None, None, None, plain), nursery)
    async with manager_of(server) as manager, trio.open_nursery() as mirroring:
        mirroring.start_soon(mirror, store, "news", manager, QUICK)
        await trio.sleep(0.1)
        for n in range(20):
            await carry(store, n)
        assert manager.waiting <= 1
        await until(lambda: len(heard(server)) == 20)
        mirroring.cancel_scope.cancel()
    assert heard(server) == list(range(20))
    assert manager.dropped_count == 0


async def test_a_server_that_does_not_want_us_ends_it(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    store, server = MemoryStore(), ScriptedServer((closes(1008),), nursery)

    async def carry_later() -> None:
        await trio.sleep(1)
        await carry(store, 1)

    async with manager_of(server) as manager:
        nursery.start_soon(carry_later)
        with trio.fail_after(100), pytest.raises(Closed):
            await mirror(store, "news", manager, QUICK)


async def test_a_server_that_did_not_want_us_is_asked_again(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    store, server = MemoryStore(), ScriptedServer((closes(1008), closes(1008), plain), nursery)
    nursery.start_soon(partial(keep_mirrored, store, "theirs", "ws://elsewhere.test", QUICK, dial=server.dial))
    await trio.sleep(0.01)
    await carry(store, 1, 2, channel="theirs")
    await until(lambda: heard(server) == [1, 2])
    assert len(server.visits) == 3


async def test_the_ids_are_those_of_the_log_and_stay_through_mirrors(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    store, server = MemoryStore(), ScriptedServer((plain,), nursery)
    nursery.start_soon(partial(keep_mirrored, store, "theirs", "ws://elsewhere.test", QUICK, dial=server.dial))
    await trio.sleep(0.01)
    await carry(store, 1, channel="theirs")
    passed_on = Decision(Stamp("c", 0, "mirror:another:7"), None, (Published("theirs", {"n": 2}),))
    await store.append(stream_of("theirs"), [passed_on], expected_version=1)
    await until(lambda: heard(server) == [1, 2])
    ids = [frame["command_id"] for frame in server.visits[0].got if frame["type"] == "theirs"]
    assert ids == [f"mirror:{store.epoch}:1", "mirror:another:7"]
