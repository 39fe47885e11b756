"""What the system counts: refusals by code, and letters for which there was no room."""

from __future__ import annotations

import structlog
from structlog.testing import capture_logs
from structlog.typing import EventDict
from trio.testing import MockClock

from actors.system import SystemSettings
from core.messages import Busy, Refused
from eventstore.memory import MemoryStore
from tests.actors.toys import (
    OTHER,
    TALLY,
    Add,
    AddAtMost,
    AddWithFuse,
    Askers,
    Fuse,
    TroubledStore,
    running,
    settle_down,
    tell,
)


async def test_refusals_are_counted_by_code_over_all_actors(autojump_clock: MockClock) -> None:
    async with running(MemoryStore()) as system:
        assert system.statistics().rejections == {}
        for stream in (TALLY, OTHER):
            await tell(system, stream, Add(1))
            assert isinstance(await tell(system, stream, AddAtMost(10, 5)), Refused)
        assert isinstance(await tell(system, TALLY, AddWithFuse(1, Fuse(1000))), Refused)
        assert system.statistics().rejections == {"too_much": 2, "poisoned": 1}


async def test_a_refusal_told_again_to_a_retry_is_counted_once(autojump_clock: MockClock) -> None:
    async with running(MemoryStore()) as system:
        await tell(system, TALLY, Add(1))
        first = await tell(system, TALLY, AddAtMost(10, 5), "once")
        again = await tell(system, TALLY, AddAtMost(10, 5), "once")
        assert isinstance(first, Refused)
        assert isinstance(again, Refused)
        assert again.repeated
        assert system.statistics().rejections == {"too_much": 1}


async def test_statistics_are_values_that_do_not_change(autojump_clock: MockClock) -> None:
    async with running(MemoryStore()) as system:
        before = system.statistics()
        await tell(system, TALLY, Add(1))
        await tell(system, TALLY, AddAtMost(10, 5))
        assert (before.rejections, before.head) == ({}, 0)


async def test_letters_without_room_are_counted(autojump_clock: MockClock) -> None:
    store = TroubledStore()
    async with running(store, settings=SystemSettings(mailbox=2)) as system:
        store.hold_appends()
        askers = Askers(system)
        askers.post(TALLY, Add(1))
        await settle_down(1)
        for _ in range(5):
            askers.post(TALLY, Add(1))
        assert askers.outcomes.count(Busy()) == system.statistics().busy == 3
        store.release_appends()


async def test_an_actor_does_not_speak_for_the_request_that_woke_it(autojump_clock: MockClock) -> None:
    seen = list[EventDict]()

    def watch(_logger: object, _method: str, fields: EventDict) -> EventDict:
        seen.append(dict(fields))
        return fields

    async with running(MemoryStore()) as system:
        with capture_logs(processors=[structlog.contextvars.merge_contextvars, watch]):
            with structlog.contextvars.bound_contextvars(correlation_id="of the first request"):
                await tell(system, TALLY, Add(1))
            await tell(system, TALLY, AddWithFuse(1, Fuse(1)))
    assert [fields["event"] for fields in seen] == ["actor crashed"]
    assert "correlation_id" not in seen[0]
