"""The bounded way out of a socket, without any socket."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from adapters.server.outlet import Flusher, Outlet
from adapters.server.statistics import Tally
from adapters.server.wire import MOST_JOINED, Bytes

DEADLINE = 10.0


class Kernel:
    """A peer's socket: takes `room` bytes at once, and when more is made."""

    most = MOST_JOINED

    def __init__(self, room: int = 1_000_000) -> None:
        self.room, self.gone = room, False
        self.sends: list[bytes] = []
        self._more = trio.Event()

    @property
    def taken(self) -> bytes:
        return b"".join(self.sends)

    def make_room(self, size: int) -> None:
        self.room += size
        self._more.set()
        self._more = trio.Event()

    def send_now(self, body: Bytes) -> int:
        if self.gone:
            raise BrokenPipeError
        if not self.room:
            raise BlockingIOError
        part = bytes(body[: self.room])
        self.room -= len(part)
        self.sends.append(part)
        return len(part)

    async def ready(self) -> None:
        while not self.room:
            await self._more.wait()

    async def push(self, body: Bytes) -> int:
        return self.send_now(body)

    async def receive(self) -> bytes:
        raise AssertionError("an outlet only writes")

    async def end(self) -> None:
        raise AssertionError("an outlet only writes")

    def abort(self) -> None:
        raise AssertionError("an outlet only writes")


class Sealed(Kernel):
    """As under TLS: nothing is taken at once, and what is pushed is under way until there is room for all of it."""

    most = 16

    def send_now(self, body: Bytes) -> int:
        raise BlockingIOError

    async def ready(self) -> None:
        await trio.lowlevel.checkpoint()

    async def push(self, body: Bytes) -> int:
        while self.room < len(body):
            await self._more.wait()
        return super().send_now(body)


class Ends:
    """What an outlet said of its end."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def outlet(self, kernel: Kernel, flusher: Flusher, limit: int = 100) -> Outlet:
        def overflowed() -> None:
            self.said.append("overflowed")

        def broken() -> None:
            self.said.append("broken")

        return Outlet(kernel, flusher, limit, overflowed=overflowed, broken=broken)


@pytest.fixture
async def flusher() -> AsyncIterator[Flusher]:
    async with trio.open_nursery() as nursery:
        flusher = Flusher(nursery.start_soon, DEADLINE, Tally())
        nursery.start_soon(flusher.run)
        yield flusher
        nursery.cancel_scope.cancel()


async def test_what_one_tick_wrote_leaves_in_one_send_and_in_its_order(flusher: Flusher) -> None:
    kernel = Kernel()
    outlet = Ends().outlet(kernel, flusher)
    outlet.write(b"one")
    outlet.write(b"two")
    assert kernel.sends == []
    await trio.testing.wait_all_tasks_blocked()
    outlet.write(b"three")
    await trio.testing.wait_all_tasks_blocked()
    assert kernel.sends == [b"onetwo", b"three"]


async def test_the_same_frames_of_many_outlets_are_joined_once(flusher: Flusher) -> None:
    kernels = [Kernel(), Kernel()]
    outlets = [Ends().outlet(kernel, flusher) for kernel in kernels]
    for frame in (b"one", b"two"):
        for outlet in outlets:
            outlet.write(frame)
    joined = flusher.joined([b"one", b"two"])
    assert flusher.joined([b"one", b"two"]) is joined
    await trio.testing.wait_all_tasks_blocked()
    assert [kernel.sends for kernel in kernels] == [[b"onetwo"]] * 2


async def test_what_the_kernel_does_not_take_now_is_sent_later_with_nothing_lost(
    flusher: Flusher,
) -> None:
    kernel, ends = Kernel(room=5), Ends()
    outlet = ends.outlet(kernel, flusher)
    for frame in (b"abcd", b"efgh", b"ijkl"):
        outlet.write(frame)
    await trio.testing.wait_all_tasks_blocked()
    for _ in range(7):
        kernel.make_room(1)
        await trio.testing.wait_all_tasks_blocked()
        assert outlet.pending == 12 - len(kernel.taken)
    outlet.write(b"mnop")
    kernel.make_room(100)
    await trio.testing.wait_all_tasks_blocked()
    assert kernel.taken == b"abcdefghijklmnop"
    assert (outlet.pending, ends.said) == (0, [])


async def test_one_frame_may_be_larger_than_the_limit(flusher: Flusher) -> None:
    kernel, ends = Kernel(), Ends()
    outlet = ends.outlet(kernel, flusher, limit=10)
    outlet.write(b"x" * 1000)
    outlet.write(b"small")
    await trio.testing.wait_all_tasks_blocked()
    assert kernel.taken == b"x" * 1000 + b"small"
    assert ends.said == []


async def test_more_waiting_than_the_limit_drops_whole_frames_behind_the_one_half_sent(flusher: Flusher) -> None:
    kernel, ends = Kernel(room=3), Ends()
    outlet = ends.outlet(kernel, flusher, limit=10)
    for frame in (b"12345", b"abcde", b"fghij", b"klmno"):
        outlet.write(frame)
    assert ends.said == ["overflowed"]
    outlet.put(b"<close>")
    kernel.make_room(100)
    await trio.testing.wait_all_tasks_blocked()
    assert kernel.taken == b"12345<close>"


async def test_what_has_left_no_longer_counts(flusher: Flusher) -> None:
    kernel, ends = Kernel(), Ends()
    outlet = ends.outlet(kernel, flusher, limit=10)
    for _ in range(20):
        outlet.write(b"12345")
        outlet.write(b"12345")
        await trio.testing.wait_all_tasks_blocked()
    assert len(kernel.taken) == 200
    assert ends.said == []


async def test_what_only_waits_for_its_tick_is_sent_rather_than_counted_as_slowness(flusher: Flusher) -> None:
    kernel, ends = Kernel(), Ends()
    outlet = ends.outlet(kernel, flusher, limit=10)
    for _ in range(20):
        outlet.write(b"12345")
    await trio.testing.wait_all_tasks_blocked()
    assert len(kernel.taken) == 100
    assert ends.said == []


async def test_a_peer_that_takes_nothing_is_given_up_after_the_deadline(
    autojump_clock: MockClock, flusher: Flusher
) -> None:
    kernel, ends = Kernel(room=0), Ends()
    outlet = ends.outlet(kernel, flusher)
    outlet.write(b"12345")
    began = trio.current_time()
    await outlet.emptied()
    assert DEADLINE <= trio.current_time() - began < DEADLINE + 0.1
    assert (ends.said, outlet.stalled, outlet.pending) == (["broken"], True, 0)


async def test_a_peer_that_takes_a_little_at_a_time_is_borne(autojump_clock: MockClock, flusher: Flusher) -> None:
    kernel, ends = Kernel(room=0), Ends()
    outlet = ends.outlet(kernel, flusher)
    outlet.write(b"12345")
    for _ in range(5):
        await trio.sleep(DEADLINE * 0.9)
        kernel.make_room(1)
    await outlet.emptied()
    assert (kernel.taken, ends.said) == (b"12345", [])


async def test_a_peer_that_is_gone_breaks_the_outlet_once_and_nobody_elses(flusher: Flusher) -> None:
    gone, there, ends = Kernel(), Kernel(), Ends()
    gone.gone = True
    broken, other = ends.outlet(gone, flusher), ends.outlet(there, flusher)
    for _ in range(3):
        broken.write(b"12345")
        other.write(b"12345")
        await trio.testing.wait_all_tasks_blocked()
    assert (ends.said, broken.stalled) == (["broken"], False)
    assert there.taken == b"12345" * 3


async def test_a_large_backlog_leaves_in_large_sends(flusher: Flusher) -> None:
    kernel = Kernel(room=10 * MOST_JOINED)
    outlet = Ends().outlet(kernel, flusher, limit=10 * MOST_JOINED)
    for _ in range(3000):
        outlet.write(b"x" * 300)
    await trio.testing.wait_all_tasks_blocked()
    assert len(kernel.taken) == 900_000
    assert len(kernel.sends) <= 5


async def test_room_comes_when_frames_have_left(flusher: Flusher) -> None:
    kernel = Kernel(room=0)
    outlet = Ends().outlet(kernel, flusher, limit=10)
    for _ in range(3):
        outlet.write(b"12345")
    arrived = trio.Event()

    async def wait_for_room() -> None:
        assert await outlet.room(5)
        arrived.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait_for_room)
        await trio.testing.wait_all_tasks_blocked()
        assert not arrived.is_set()
        kernel.make_room(15)
        await arrived.wait()


async def test_nobody_waits_for_room_in_an_outlet_that_is_over(flusher: Flusher) -> None:
    outlet = Ends().outlet(Kernel(room=0), flusher, limit=1)
    outlet.write(b"12345")
    outlet.write(b"1")
    outlet.stop()
    assert not await outlet.room(1000)


async def test_a_fault_of_one_outlet_ends_that_connection_and_no_other(flusher: Flusher) -> None:
    class Broken(Kernel):
        def send_now(self, body: Bytes) -> int:
            raise RuntimeError("a fault of ours")

    bad, there, ends = Broken(), Kernel(), Ends()
    broken, other = ends.outlet(bad, flusher), ends.outlet(there, flusher)
    for _ in range(2):
        broken.write(b"12345")
        other.write(b"12345")
        await trio.testing.wait_all_tasks_blocked()
    assert ends.said == ["broken"]
    assert there.taken == b"12345" * 2
