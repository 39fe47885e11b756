"""Audiences: each listener sees what it is to see, once and in order, and a record is rendered once a dialect."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from trio.testing import MockClock

from actors.audience import WATCHED, Audiences
from actors.topic import MOST_HELD, Membership
from core.dialect import Close, Connection, Frame, Handshake, Reach
from core.messages import Recorded, Stamp
from eventstore.memory import MemoryStore
from tests.actors.toys import DECIDERS, OTHER, TALLY, Add, Added, Finished, Spoilt, Tally, evolve, running, tell


class Plain:
    """A dialect whose frame of a record is "<name> <version> <sum after it>". It counts its renderings."""

    def __init__(self, name: str = "plain", to: Reach = Reach.EVERYONE, crash_at: int = 0) -> None:
        self.name = name
        self.rendered: list[int] = []
        self._to, self._crash_at = to, crash_at

    def connect(self, handshake: Handshake) -> Connection:
        raise AssertionError(f"no socket connects here: {handshake}")

    def render(self, record: Recorded, state: Tally) -> Frame | None:
        self.rendered.append(record.version)
        if record.version == self._crash_at:
            raise ValueError("cannot be said")
        if record.event == Added(0):
            return None
        return Frame(f"{self.name} {record.version} {state.total}".encode(), self._to)

    def farewell(self, record: Recorded, state: Tally) -> Close | None:
        return Close(1000, "over") if state.finished else None

    def topics(self, record: Recorded) -> Sequence[str]:
        return ("even",) if record.version % 2 == 0 else ()

    def render_wide(self, record: Recorded, topic: str) -> Frame | None:
        return Frame(f"{topic} {record.version}".encode(), self._to)


class Ear:
    """A listener that keeps what it is given; `on_write` is done first."""

    def __init__(self, connection_id: str = "boot.1") -> None:
        self.connection_id = connection_id
        self.heard: list[str] = []
        self.closes: list[int] = []
        self.on_write: Callable[[], None] = lambda: None

    def write(self, body: bytes) -> None:
        self.on_write()
        self.heard.append(body.decode())

    def close(self, code: int, reason: str) -> None:
        assert reason
        self.closes.append(code)

    @property
    def versions(self) -> list[int]:
        return [int(frame.split()[1]) for frame in self.heard]


def after(state: Tally, event: object) -> Tally:
    """As `evolve`, but without the tuple that grows, and past what cannot be folded."""
    return state if isinstance(event, Spoilt) else replace(evolve(state, event), amounts=())  # type: ignore[arg-type]


class Log:
    """One stream's records, made as they are needed; every one adds its own version to the sum."""

    def __init__(self, origin: str = "") -> None:
        self.audiences = Audiences(DECIDERS)
        self.records: list[Recorded] = []
        self.states = [Tally()]
        self._origin = origin

    def record(self, event: object = None) -> Recorded:
        version = len(self.records) + 1
        event = Added(version) if event is None else event
        self.records.append(Recorded(version, TALLY, version, event, Stamp("", 0, origin=self._origin)))
        self.states.append(after(self.states[-1], event))
        return self.records[-1]

    def deliver(self, *events: object) -> None:
        for event in events or (None,):
            self.audiences.deliver(self.record(event))

    def member(self, dialect: Plain, ear: Ear) -> Membership:
        """Joined, and hearing from the newest record on."""
        membership = self.audiences.join(TALLY, dialect, ear)
        membership.hear(self.states[-1], len(self.records))
        return membership


def test_one_rendering_per_dialect_however_many_listen() -> None:
    log, plain, fancy = Log(), Plain(), Plain("fancy")
    ears = [Ear(f"boot.{n}") for n in range(100)]
    for n, ear in enumerate(ears):
        log.member(plain if n % 2 else fancy, ear)
    log.deliver(None, None, None)
    assert plain.rendered == fancy.rendered == [1, 2, 3]
    assert ears[0].heard == ["fancy 1 1", "fancy 2 3", "fancy 3 6"]
    assert ears[99].heard == ["plain 1 1", "plain 2 3", "plain 3 6"]


def test_late_joiners_share_the_renderings_once_they_are_level() -> None:
    log, plain = Log(), Plain()
    for n in range(10):
        log.member(plain, Ear(f"boot.{n}"))
        log.deliver()
    assert plain.rendered == list(range(1, 11))


def test_a_record_that_is_not_shown_is_written_to_nobody() -> None:
    log, ear = Log(), Ear()
    log.member(Plain(), ear)
    log.deliver(Added(1), Added(0), Added(1))
    assert ear.versions == [1, 3]


@pytest.mark.parametrize(
    ("to", "who"),
    [
        (Reach.EVERYONE, ["boot.1", "boot.2", "boot.3"]),
        (Reach.ORIGIN, ["boot.2"]),
        (Reach.OTHERS, ["boot.1", "boot.3"]),
    ],
)
def test_a_frame_reaches_whom_it_is_for(to: Reach, who: list[str]) -> None:
    log = Log(origin="boot.2")
    ears = [Ear(f"boot.{n}") for n in (1, 2, 3)]
    for ear in ears:
        log.member(Plain(to=to), ear)
    log.deliver()
    assert [ear.connection_id for ear in ears if ear.heard] == who


def test_a_listener_of_one_stream_hears_nothing_of_another() -> None:
    log, ear = Log(), Ear()
    membership = log.audiences.join(OTHER, Plain(), ear)
    membership.hear(Tally(), 0)
    log.deliver()
    assert ear.heard == []


def test_nothing_is_shown_before_hear_and_everything_above_its_version_after() -> None:
    log, ear = Log(), Ear()
    log.deliver()
    membership = log.audiences.join(TALLY, Plain(), ear)
    log.deliver(None, None, None)
    assert ear.heard == []
    membership.hear(log.states[2], 2)
    assert ear.heard == ["plain 3 6", "plain 4 10"]
    log.deliver()
    assert ear.versions == [3, 4, 5]


def test_what_came_between_joining_and_hearing_is_shown_from_its_first_record_on() -> None:
    log, ear = Log(), Ear()
    membership = log.audiences.join(TALLY, Plain(), ear)
    log.deliver(None, None)
    membership.hear(log.states[0], 0)
    assert ear.versions == [1, 2]


def test_a_listener_ahead_of_the_deliveries_hears_nothing_twice() -> None:
    log, ear = Log(), Ear()
    records = [log.record(), log.record(), log.record()]
    log.audiences.join(TALLY, Plain(), ear).hear(log.states[2], 2)
    for record in records:
        log.audiences.deliver(record)
    assert ear.heard == ["plain 3 6"]


@st.composite
def interleavings(draw: st.DrawFn) -> list[tuple[str, int, int]]:
    steps = st.tuples(
        st.sampled_from(["join", "hear", "leave", "write", "deliver", "deliver"]), st.integers(0, 3), st.integers(0, 3)
    )
    return draw(st.lists(steps, min_size=draw(st.integers(0, 40)), max_size=60))


@given(interleavings())
def test_however_joining_hearing_and_leaving_interleave_each_sees_its_records_once(
    steps: Sequence[tuple[str, int, int]],
) -> None:
    """Records are written first and delivered later; a listener hears from any version between the two on."""
    log, dialects = Log(), [Plain("even"), Plain("odd")]
    delivered = 0
    members: dict[int, tuple[Membership, Ear, int]] = {}
    since: dict[int, int] = {}
    until: list[tuple[Ear, int | None, int]] = []

    def go(number: int) -> None:
        membership, ear, _ = members.pop(number)
        membership.leave()
        until.append((ear, since.pop(number, None), delivered))

    for step, number, pick in steps:
        if step == "write":
            log.record()
        elif step == "deliver" and delivered < len(log.records):
            log.audiences.deliver(log.records[delivered])
            delivered += 1
        elif step == "join" and number not in members:
            ear = Ear()
            members[number] = (log.audiences.join(TALLY, dialects[number % 2], ear), ear, delivered)
        elif step == "hear" and number in members and number not in since:
            membership, _, joined = members[number]
            since[number] = joined + pick % (len(log.records) - joined + 1)
            membership.hear(log.states[since[number]], since[number])
        elif step == "leave" and number in members:
            go(number)
        assert log.audiences.count(TALLY) == len(members)
    for number in list(members):
        go(number)
    for ear, heard_from, last in until:
        expected = [] if heard_from is None else list(range(heard_from + 1, last + 1))
        assert ear.versions == expected
        assert [int(frame.split()[2]) for frame in ear.heard] == [log.states[version].total for version in expected]


def test_a_rendering_that_crashes_closes_the_listeners_of_that_dialect_alone() -> None:
    log, ear, other = Log(), Ear(), Ear()
    log.member(Plain(crash_at=2), ear)
    log.member(Plain("fancy"), other)
    log.deliver(None, None, None)
    assert ear.closes == [1011]
    assert (other.closes, other.versions) == ([], [1, 2, 3])


def test_a_listener_that_missed_a_record_hears_nothing_after_it() -> None:
    log, ear = Log(), Ear()
    log.member(Plain(crash_at=2), ear)
    log.deliver(None, None, None)
    assert ear.versions == [1]
    assert log.audiences.count(TALLY) == 0


def test_a_record_that_cannot_be_folded_closes_its_listeners_and_no_others() -> None:
    log, ear, other, late = Log(), Ear(), Ear(), Ear()
    log.member(Plain(), ear)
    log.audiences.join(OTHER, Plain(), other).hear(Tally(), 0)
    log.deliver(None, Spoilt(), None)
    assert (ear.versions, ear.closes) == ([1], [1011])
    assert (log.audiences.count(TALLY), other.closes) == (0, [])
    log.member(Plain(), late)
    log.deliver()
    assert late.versions == [4]


def test_a_farewell_closes_all_after_the_last_frame_and_lets_them_go() -> None:
    log, ears = Log(), [Ear(), Ear()]
    log.member(Plain(), ears[0])
    log.member(Plain("fancy"), ears[1])
    log.deliver(Added(1), Finished(), Added(1))
    for ear in ears:
        assert (ear.versions, ear.closes) == ([1, 2], [1000])
    assert log.audiences.count(TALLY) == 0


def test_a_listener_too_far_behind_is_closed_and_forgotten() -> None:
    log, ear = Log(), Ear()
    membership = log.audiences.join(TALLY, Plain(), ear)
    log.deliver(*[Added(1)] * MOST_HELD)
    assert ear.closes == []
    log.deliver(Added(1))
    assert (ear.closes, log.audiences.count(TALLY)) == ([4008], 0)
    membership.hear(Tally(), 0)
    assert ear.heard == []


def test_who_left_hears_nothing_even_when_told_to() -> None:
    log, ear = Log(), Ear()
    membership = log.audiences.join(TALLY, Plain(), ear)
    log.deliver()
    membership.leave()
    membership.leave()
    membership.hear(Tally(), 0)
    log.deliver()
    assert (ear.heard, log.audiences.count(TALLY)) == ([], 0)


def test_who_left_an_emptied_audience_does_not_disturb_the_next_one() -> None:
    log, ear = Log(), Ear()
    gone = log.member(Plain(), Ear())
    gone.leave()
    log.member(Plain(), ear)
    gone.leave()
    log.deliver()
    assert ear.versions == [1]


def test_a_listener_may_make_others_leave_while_it_hears() -> None:
    log, first, second = Log(), Ear(), Ear()
    log.member(Plain(), first)
    leaving = log.member(Plain("fancy"), second)
    first.on_write = leaving.leave
    log.deliver(None, None)
    assert (first.versions, second.versions) == ([1, 2], [])


def test_listeners_are_counted_by_stream_and_in_all() -> None:
    log = Log()
    log.member(Plain(), Ear())
    log.audiences.join(TALLY, Plain(), Ear())
    log.audiences.join(OTHER, Plain(), Ear())
    assert (log.audiences.count(TALLY), log.audiences.count(OTHER), log.audiences.listeners) == (2, 1, 3)


# --- watching -----------------------------------------------------------------------------------------------------


async def test_a_watcher_gets_the_records_from_now_on() -> None:
    log = Log()
    log.deliver()
    with log.audiences.watch(TALLY) as coming:
        log.deliver(None, None)
        assert [(await coming.receive()).version, (await coming.receive()).version] == [2, 3]
    log.deliver()


async def test_a_watcher_too_far_behind_gets_what_was_kept_and_then_the_end() -> None:
    log = Log()
    with log.audiences.watch(TALLY) as slow, log.audiences.watch(TALLY) as fast:
        log.deliver(*[Added(1)] * WATCHED)
        for _ in range(WATCHED):
            await fast.receive()
        log.deliver(Added(1))
        assert (await fast.receive()).version == WATCHED + 1
        assert [record.version async for record in slow] == list(range(1, WATCHED + 1))


async def test_a_watcher_that_closed_its_channel_early_hurts_nobody() -> None:
    log = Log()
    with log.audiences.watch(TALLY) as closed, log.audiences.watch(TALLY) as other:
        closed.close()
        log.deliver(None, None)
        assert (await other.receive()).version == 1


async def test_a_watcher_of_a_system_sees_what_is_recorded_while_it_watches(autojump_clock: MockClock) -> None:
    async with running(MemoryStore()) as system:
        await tell(system, TALLY, Add(1))
        await trio.sleep(1)
        with system.audiences.watch(TALLY) as coming:
            await tell(system, TALLY, Add(2))
            assert (await coming.receive()).event == Added(2)


def test_a_listener_that_cannot_be_closed_keeps_nobody_else_from_being_closed() -> None:
    class Stubborn(Ear):
        def close(self, code: int, reason: str) -> None:
            raise RuntimeError("closed to new arrivals")

    log = Log()
    ears = [Stubborn("boot.1"), Ear("boot.2"), Stubborn("boot.3"), Ear("boot.4")]
    for ear in ears:
        log.member(Plain(crash_at=1), ear)
    log.deliver()
    assert [ear.closes for ear in ears] == [[], [1011], [], [1011]]
    assert log.audiences.count(TALLY) == 0


class Loud(Plain):
    """A dialect whose frames are a mebibyte each."""

    def render(self, record: Recorded, state: Tally) -> Frame | None:
        return Frame(b"x" * 2**20)


def test_what_is_held_for_a_slow_joiner_is_bounded_in_bytes_too() -> None:
    log, slow, quick, loud = Log(), Ear("boot.1"), Ear("boot.2"), Loud()
    log.audiences.join(TALLY, loud, slow)
    log.member(loud, quick)
    log.deliver(*[None] * 20)
    assert slow.closes == [4008]
    assert (len(quick.heard), quick.closes) == (20, [])
