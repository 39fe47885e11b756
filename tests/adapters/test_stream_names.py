"""Streams found by their names in a log of many: the work is bounded, and goes by an index."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from adapters import stream_names
from adapters.stream_names import STEPS, find_streams
from core.identifiers import Category
from eventstore.recorder import SCHEMA

MANY = 3_000


@pytest.fixture(scope="module")
def log() -> Iterator[sqlite3.Connection]:
    """Of many sessions with two events each, and one conversation, older than all of them."""
    with sqlite3.connect(":memory:") as database:
        for statement in SCHEMA:
            database.execute(statement)
        names = ["conversation-old", *(f"session-{number:05}" for number in range(MANY))]
        rows = [(name, version, 10 * number + version) for number, name in enumerate(names) for version in (1, 2)]
        database.executemany(
            "INSERT INTO stored_events VALUES (NULL, ?, ?, 't/1', '{}', ?, 'c', NULL, NULL, 'p', '', NULL, x'00')", rows
        )
        yield database
    database.close()


class Asked:
    """`select` over a log, and what was asked of it."""

    def __init__(self, log: sqlite3.Connection) -> None:
        self._log = log
        self.queries: list[tuple[str, tuple[Any, ...]]] = []

    def __call__(self, query: str, parameters: tuple[Any, ...]) -> list[Any]:
        self.queries.append((query, parameters))
        return self._log.execute(query, parameters).fetchall()


@pytest.fixture
def select(log: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> Asked:
    monkeypatch.setattr(stream_names, "MOST_SECONDS", 60.0)  # what is bounded by time only is tried by itself
    return Asked(log)


def names(select: Asked, part: str, category: Category | None = None, limit: int = 50) -> tuple[list[str], bool]:
    found = find_streams(select, part, category, limit)
    return [each.stream for each in found.streams], found.truncated


def test_what_is_old_is_found_among_many(select: Asked) -> None:
    assert names(select, "old") == (["conversation-old"], False)
    assert names(select, "session-00000") == (["session-00000"], False)
    assert names(select, "0000", limit=20)[0] == [f"session-{number:05}" for number in range(9, -1, -1)]


def test_the_newest_of_many_come_first(select: Asked) -> None:
    found, truncated = names(select, "", limit=3)
    assert (found, truncated) == ([f"session-{MANY - back:05}" for back in (1, 2, 3)], True)


def test_each_is_told_with_its_length_and_times(select: Asked) -> None:
    (found,) = find_streams(select, "00001", None, 5).streams
    assert (found.events, found.first_time, found.last_time) == (2, 21, 22)


def test_looking_ends_when_enough_was_looked_at(select: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_names, "MOST_ROWS", 10)
    monkeypatch.setattr(stream_names, "MOST_NAMES", 1_000)
    assert names(select, "plum") == ([], True)
    assert sum(query.startswith("WITH") for query, _ in select.queries) <= len(Category) * 2 + 1 + 1_000 / STEPS


def test_looking_ends_when_its_time_is_over(select: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_names, "MOST_SECONDS", 0.0)
    assert names(select, "plum") == ([], True)
    assert len(select.queries) == 1


def test_every_step_is_one_of_an_index(log: sqlite3.Connection, select: Asked) -> None:
    names(select, "old")
    for query, parameters in dict(select.queries).items():
        plan = [row[3] for row in log.execute(f"EXPLAIN QUERY PLAN {query}", parameters)]
        assert "SCAN stored_events" not in plan or query.endswith("ORDER BY rowid DESC LIMIT ?"), plan
        assert not any("TEMP B-TREE" in step for step in plan), plan
