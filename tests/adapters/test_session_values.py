from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from actors.system import System, open_system
from adapters.clock import SystemClock, TimeOrderedIdentifiers
from adapters.session_values import SessionValues
from core.identifiers import Category, StreamName
from core.session import OpenSession, session
from eventstore.memory import MemoryStore

STREAM = StreamName.of(Category.SESSION, "s")


@pytest.fixture
async def system() -> AsyncIterator[System]:
    """With one session, that is never ended."""
    deciders, clock = {Category.SESSION: session}, SystemClock()
    async with open_system(
        MemoryStore(), deciders=deciders, performers={}, clock=clock, identifiers=TimeOrderedIdentifiers()
    ) as system:
        await system.ask(STREAM, OpenSession("ann", "shipping", 5), system.stamp())
        yield system


async def test_a_value_is_what_it_was_updated_to(system: System) -> None:
    values = SessionValues(system)
    assert await values.update("s", "colour", {"name": "red"})
    assert await values.update("s", "colour", "blue")
    assert await values.get("s", "colour") == "blue"
    assert await values.get("s", "shape") is None


async def test_a_session_that_is_not_there_is_not_updated_and_has_nothing(system: System) -> None:
    values = SessionValues(system)
    for missing in ("t", "", "no id"):
        assert not await values.update(missing, "colour", "red")
        assert await values.get(missing, "colour") is None
    assert system.store.head == 1


async def test_what_is_too_large_is_not_taken(system: System) -> None:
    values = SessionValues(system)
    assert not await values.update("s", "book", "x" * 100_000)
    assert await values.get("s", "book") is None


async def test_writing_is_activity_and_reading_is_none(system: System) -> None:
    values = SessionValues(system)
    await values.get("s", "colour")
    assert (await system.look(STREAM))[0].last_active == 5
    await values.update("s", "colour", "red")
    assert (await system.look(STREAM))[0].last_active > 5
