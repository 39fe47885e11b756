from __future__ import annotations

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from adapters.history import NoSuchHistory
from adapters.moments import moment
from adapters.opening import open_history
from adapters.playback import Pace, changes_between, follow, play, state_at, whole
from adapters.setting_values import StoreAddress
from core.channel import ChannelOpened, Publish, Published
from core.identifiers import StreamName
from core.messages import Decision, Recorded, Stamp
from eventstore.opening import open_sqlite

STREAM = StreamName("channel-news")
BEGAN = 1_795_269_600_000_000


def record(version: int, seconds: float) -> Recorded:
    event = ChannelOpened("news") if version == 1 else Published("news", {"n": version})
    return Recorded(version, STREAM, version, event, Stamp("c", BEGAN + round(seconds * 1e6)))


@pytest.mark.parametrize(("speed", "times"), [(1.0, [0, 2.5, 3600]), (4.0, [0, 0.625, 900]), (0.5, [0, 5, 7200])])
async def test_a_stream_is_played_in_its_own_time_or_so_many_times_as_fast(
    autojump_clock: MockClock, speed: float, times: list[float]
) -> None:
    began, played = trio.current_time(), list[float]()
    records = [record(1, 0), record(2, 2.5), record(3, 3600)]
    await play(records, lambda _: played.append(trio.current_time() - began), Pace(speed))
    assert played == pytest.approx(times)


async def test_without_a_speed_it_is_played_at_once(autojump_clock: MockClock) -> None:
    began = trio.current_time()
    await play([record(1, 0), record(2, 3600)], lambda _: None, Pace())
    assert trio.current_time() == began


def test_a_state_is_the_one_at_that_moment_and_the_stream_must_have_come_so_far() -> None:
    records = [record(1, 0), record(2, 2.5), record(3, 5)]
    then = state_at(records, moment("+3s"))
    assert (then.version, then.time, then.state) == (2, BEGAN + 2_500_000, {"name": "news", "carried": 1})
    assert state_at(records, moment("0")).state == {"name": None, "carried": 0}
    with pytest.raises(NoSuchHistory, match="has 3 events, so there is no version 4"):
        state_at(records, moment("4"))
    changes = changes_between(state_at(records, moment("1")), state_at(records, moment("3")))
    assert [(change.path, change.old, change.new) for change in changes] == [("carried", 0, 2)]


async def test_what_another_process_writes_is_followed(tmp_path: Path) -> None:
    came, has_come = list[Recorded](), trio.Event()

    def take(record: Recorded) -> None:
        came.append(record)
        has_come.set()

    async with open_sqlite(tmp_path / "log.db") as writing:
        await writing.append(STREAM, [_published(1)], expected_version=0)
        async with open_history(StoreAddress(tmp_path / "log.db")) as reading, trio.open_nursery() as nursery:
            (first,) = await whole(reading, STREAM)
            nursery.start_soon(follow, reading, first.position, take)
            await writing.append(STREAM, [_published(2)], expected_version=1)
            with trio.fail_after(5):
                await has_come.wait()
            nursery.cancel_scope.cancel()
    assert [record.version for record in came] == [2]


def _published(n: int) -> Decision:
    return Decision(Stamp(f"c{n}", BEGAN + n), Publish("news", {"n": n}), (Published("news", {"n": n}),))
