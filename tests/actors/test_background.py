from __future__ import annotations

import gc
import weakref
from contextvars import ContextVar
from typing import Any

import trio
from trio.testing import MockClock

from actors.effects import Tell
from eventstore.memory import MemoryStore
from tests.actors.toys import TALLY, Add, Job, Start, running, tell


class Request:
    """What a web framework keeps of one."""


REQUEST: ContextVar[Request | None] = ContextVar("request", default=None)


async def test_neither_an_actor_nor_its_effects_keep_the_request_that_woke_them(autojump_clock: MockClock) -> None:
    async def work(effect: Any, state: Any, tell: Tell) -> None:  # a performer's signature
        await trio.sleep_forever()

    async with running(MemoryStore(), {Job: work}) as system:
        request = Request()
        REQUEST.set(request)
        await tell(system, TALLY, Start("a"))
        await tell(system, TALLY, Add(1))
        REQUEST.set(None)
        kept = weakref.ref(request)
        del request
        gc.collect()
        assert TALLY in system.directory
        assert system.statistics().effects == 1
        assert kept() is None
