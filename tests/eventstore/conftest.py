"""Every store the contract holds for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.ports import EventStore
from eventstore.memory import MemoryStore
from eventstore.opening import open_sqlite
from eventstore.sqlite import SQLiteStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
async def durable(path: Path) -> AsyncIterator[SQLiteStore]:
    """The log in `path`, open for writing."""
    async with open_sqlite(path) as store:
        yield store


@pytest.fixture(params=["memory", "sqlite", "sqlite, written by a process"])
async def store(request: pytest.FixtureRequest, path: Path) -> AsyncIterator[EventStore]:
    if request.param == "memory":
        yield MemoryStore()
        return
    async with open_sqlite(path, apart="process" in request.param) as opened:
        yield opened
