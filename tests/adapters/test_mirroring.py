"""Mirroring as it is switched on: two servers as they are put together, one of them somebody else's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from structlog.testing import capture_logs

from adapters import bootstrap
from adapters.clients.channels import WebSocketManager
from adapters.config import BadSetting, from_environment
from core.channel import Published, stream_of
from eventstore.opening import open_sqlite_read_only
from tests.adapters.web.test_channels_sockets import free_port

PATIENCE = 20.0
CHANNEL = "news"


@pytest.fixture(autouse=True)
def unsettled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "settle_interpreter", lambda: None)  # a setting of the whole process


@asynccontextmanager
async def running(file: Path, port: int, mirrored_to: int | None = None) -> AsyncIterator[None]:
    """A server; at the end it is cut off."""
    env = {"CALLBOARD_BIND": f"127.0.0.1:{port}", "CALLBOARD_STORE": f"sqlite:///{file}"}
    if mirrored_to is not None:
        env |= {"WEBSOCKET_URI": f"ws://127.0.0.1:{mirrored_to}", "WEBSOCKET_CHANNEL": CHANNEL}
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(bootstrap.serve, from_environment(env, {}), trio.Event()))
        yield
        nursery.cancel_scope.cancel()


async def publish(port: int, *numbers: int, channel: str = CHANNEL) -> None:
    async with WebSocketManager(f"ws://127.0.0.1:{port}", channel) as mouth:
        await mouth.connect()
        for n in numbers:
            mouth.publish({"n": n})


async def carried(file: Path, channel: str = CHANNEL) -> list[int]:
    async with open_sqlite_read_only(file) as store:
        records = await store.read_stream(stream_of(channel))
    return [record.event.payload["n"] for record in records if isinstance(record.event, Published)]


async def until_carried(file: Path, count: int) -> list[int]:
    """What the channel carries there once it is so many; what is more is noticed, too, if it comes soon."""
    with trio.fail_after(PATIENCE):
        while len(await carried(file)) < count:  # noqa: ASYNC110  # another program's log is only to be looked at
            await trio.sleep(0.02)
    return await carried(file)


async def test_what_a_channel_carries_is_carried_elsewhere_once_and_in_order_whoever_restarts(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.db", tmp_path / "theirs.db"
    here, there = free_port(), free_port()
    async with running(ours, here, mirrored_to=there):
        await publish(here, 7, channel="weather-update")
        await publish(here, 0, 1)  # nobody is there yet
        async with running(theirs, there):
            assert await until_carried(theirs, 2) == [0, 1]
            await publish(here, *range(2, 40))
            await until_carried(theirs, 5)
        await publish(here, *range(40, 60))
        async with running(theirs, there):
            await publish(here, *range(60, 80))
            assert await until_carried(theirs, 80) == list(range(80))
    async with running(theirs, there), running(ours, here, mirrored_to=there):
        await publish(here, 80)
        assert await until_carried(theirs, 81) == list(range(81))
    assert await carried(theirs, "weather-update") == []


async def test_servers_may_mirror_each_other_and_even_themselves(tmp_path: Path) -> None:
    one, other = tmp_path / "one.db", tmp_path / "other.db"
    here, there = free_port(), free_port()
    async with running(one, here, mirrored_to=there), running(other, there, mirrored_to=here):
        await publish(here, 1)
        await until_carried(other, 1)
        await publish(there, 2)
        assert await until_carried(one, 2) == [1, 2]
        await publish(here, 3)
        assert await until_carried(other, 3) == [1, 2, 3]
        assert await carried(one) == [1, 2, 3]
    async with running(one, here, mirrored_to=here):
        await publish(here, 4)
        await publish(here, 5)
        await trio.sleep(0.3)
        assert await carried(one) == [1, 2, 3, 4, 5]


async def test_a_server_that_is_away_or_does_not_want_us_is_logged_and_disturbs_nobody(tmp_path: Path) -> None:
    here = free_port()
    with capture_logs() as logged:
        async with running(tmp_path / "ours.db", here, mirrored_to=free_port()):
            await publish(here, 1)
            with trio.fail_after(PATIENCE):
                while not any("tried again" in entry["event"] for entry in logged):  # noqa: ASYNC110
                    await trio.sleep(0.02)
            await publish(here, 2)
    assert await carried(tmp_path / "ours.db") == [1, 2]


async def test_nothing_is_mirrored_unless_it_is_set(tmp_path: Path) -> None:
    assert from_environment({}, {}).websocket_uri is None
    set_by_flag = from_environment({}, {"websocket_uri": "ws://localhost:4000"})
    assert set_by_flag.websocket_uri == "ws://localhost:4000"


def test_an_address_that_is_none_is_named_at_the_start() -> None:
    with pytest.raises(BadSetting, match=r"WEBSOCKET_URI: not an address; write ws://host or wss://host"):
        from_environment({"WEBSOCKET_URI": "http://localhost:4000"}, {})
