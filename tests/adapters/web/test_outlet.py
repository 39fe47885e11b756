"""The bounded way out of a socket, without any socket."""

from __future__ import annotations

import trio
import trio.testing

from adapters.web.outlet import Outlet


class Wire:
    """Takes frames when it is let."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.gate = trio.Event()

    async def send(self, text: str) -> None:
        await self.gate.wait()
        self.sent.append(text)


async def flushed(outlet: Outlet, wire: Wire) -> tuple[int, str]:
    wire.gate.set()
    return await outlet.flush(wire.send)


async def test_what_was_written_before_the_close_is_sent_in_its_order() -> None:
    outlet, wire = Outlet(100), Wire()
    outlet.write(b"one")
    outlet.write(b"two")
    outlet.close(1000, "done")
    outlet.write(b"three")
    assert await flushed(outlet, wire) == (1000, "done")
    assert wire.sent == ["one", "two"]


async def test_the_first_close_counts() -> None:
    outlet = Outlet(100)
    outlet.close(1011, "first")
    outlet.close(1000, "second")
    assert await flushed(outlet, Wire()) == (1011, "first")


async def test_one_frame_may_be_larger_than_the_limit() -> None:
    outlet, wire = Outlet(10), Wire()
    outlet.write(b"x" * 1000)
    outlet.write(b"small")
    outlet.close(1000, "")
    assert await flushed(outlet, wire) == (1000, "")
    assert [len(text) for text in wire.sent] == [1000, 5]


async def test_more_waiting_than_the_limit_closes_with_4008_and_drops_what_waits() -> None:
    closes: list[str] = []
    outlet, wire = Outlet(10, lambda: closes.append("closed")), Wire()
    for _ in range(4):
        outlet.write(b"12345")
    assert outlet.closing == (4008, "too slow; resume with since")
    assert await flushed(outlet, wire) == (4008, "too slow; resume with since")
    assert wire.sent == ["12345"]
    assert closes == ["closed"]


async def test_what_has_been_sent_no_longer_counts() -> None:
    outlet, wire = Outlet(10), Wire()
    wire.gate.set()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outlet.flush, wire.send)
        for _ in range(20):
            outlet.write(b"12345")
            outlet.write(b"12345")
            await trio.testing.wait_all_tasks_blocked()
        assert outlet.closing is None
        nursery.cancel_scope.cancel()
    assert len(wire.sent) == 40


async def test_room_comes_when_frames_have_left() -> None:
    outlet, wire = Outlet(10), Wire()
    for _ in range(3):
        outlet.write(b"12345")
    arrived = trio.Event()

    async def wait_for_room() -> None:
        await outlet.room(5)
        arrived.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(outlet.flush, wire.send)
        nursery.start_soon(wait_for_room)
        await trio.testing.wait_all_tasks_blocked()
        assert not arrived.is_set()
        wire.gate.set()
        await arrived.wait()
        nursery.cancel_scope.cancel()


async def test_nobody_waits_for_room_in_a_closed_outlet() -> None:
    outlet = Outlet(1)
    outlet.write(b"12345")
    outlet.write(b"1")
    outlet.close(1000, "")
    with trio.fail_after(1):
        await outlet.room(1000)


async def test_a_wire_that_takes_all_at_once_still_lets_others_run() -> None:
    outlet, turns = Outlet(10_000), 0

    async def gone(text: str) -> None:
        pass

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    for _ in range(100):
        outlet.write(b"x")
    outlet.close(1000, "")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        await outlet.flush(gone)
        nursery.cancel_scope.cancel()
    assert turns >= 50
