"""Frames that are on their way while others are dropped: whoever reads sees whole frames, and then the close."""

from __future__ import annotations

import random

import pytest
import trio
import trio.testing

from adapters.server.outlet import Flusher, Outlet
from tests.adapters.server.test_outlet import Ends, Kernel, Sealed, flusher

__all__ = ["flusher"]

CLOSE = b"<close>"


async def test_frames_that_leave_in_one_send_are_not_dropped_from_under_it(flusher: Flusher) -> None:
    kernel, ends = Kernel(room=0), Ends()
    outlet = ends.outlet(kernel, flusher, limit=10)
    outlet.write(b"12345")
    outlet.write(b"abcde")
    await trio.testing.wait_all_tasks_blocked()
    outlet.write(b"fghij")
    outlet.write(b"klmno")
    assert ends.said == ["overflowed"]
    outlet.put(CLOSE)
    kernel.make_room(100)
    await trio.testing.wait_all_tasks_blocked()
    assert kernel.taken in {b"12345" + CLOSE, b"12345abcde" + CLOSE}
    assert outlet.pending == 0


async def test_more_may_leave_than_is_left_behind_after_dropping(flusher: Flusher) -> None:
    kernel, ends = Kernel(room=0), Ends()
    outlet = ends.outlet(kernel, flusher, limit=50)
    for number in range(8):
        outlet.write(b"frame%d" % number)
    await trio.testing.wait_all_tasks_blocked()
    outlet.write(b"x" * 100)
    assert ends.said == ["overflowed"]
    kernel.make_room(1000)
    await trio.testing.wait_all_tasks_blocked()
    assert b"frame0frame1frame2frame3frame4frame5frame6frame7".startswith(kernel.taken)
    assert kernel.taken.startswith(b"frame0")
    assert (outlet.pending, ends.said) == (0, ["overflowed"])


@pytest.mark.parametrize("kind", [Kernel, Sealed])
@pytest.mark.parametrize("seed", range(200))
async def test_however_writing_and_reading_interleave_what_is_read_is_whole_frames_in_order(
    flusher: Flusher, seed: int, kind: type[Kernel]
) -> None:
    draw = random.Random(seed)
    kernel, ends = kind(room=draw.randrange(200)), Ends()
    outlet = ends.outlet(kernel, flusher, limit=draw.choice((10, 50, 200)))
    frames = [b"<%d:%b>" % (number, b"x" * draw.randrange(30)) for number in range(60)]
    for frame in frames:
        outlet.write(frame)
        if ends.said:
            break
        if draw.random() < 0.4:
            await trio.testing.wait_all_tasks_blocked()
        if draw.random() < 0.4:
            kernel.make_room(draw.randrange(40))
            if draw.random() < 0.5:
                await trio.testing.wait_all_tasks_blocked()
    outlet.put(CLOSE)
    assert is_whole(await read_all(kernel, outlet, draw), frames, dropped="overflowed" in ends.said)


async def read_all(kernel: Kernel, outlet: Outlet, draw: random.Random) -> bytes:
    while outlet.pending:
        kernel.make_room(draw.randrange(1, 60))
        await trio.testing.wait_all_tasks_blocked()
    return kernel.taken


def is_whole(taken: bytes, frames: list[bytes], *, dropped: bool) -> bool:
    """Whether these are frames from the first on, all of them unless some were dropped, and then the close."""
    number = 0
    while number < len(frames) and taken.startswith(frames[number]):
        taken = taken[len(frames[number]) :]
        number += 1
    return taken == CLOSE and (dropped or number == len(frames))
