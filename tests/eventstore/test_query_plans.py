"""SQLite's plans for what is asked of a log: by an index, in its own order, with whatever index there is beside it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest

from core.conversation import Say
from core.decider import CommandRejected
from core.messages import Decision
from eventstore.audit import AuditLog, Filters
from eventstore.index import Index
from eventstore.opening import open_sqlite
from tests.eventstore.logs import raw, say, stamp, stream

BY_STREAM = (
    "SEARCH stored_events USING COVERING INDEX sqlite_autoindex_stored_events_1 "
    "(originator_id=? AND originator_version>? AND originator_version<?)"
)
BY_TOPIC = "SEARCH stored_events USING COVERING INDEX by_topic (topic=? AND rowid>? AND rowid<?)"
BY_PRINCIPAL = "SEARCH stored_events USING COVERING INDEX by_principal (principal=? AND rowid>? AND rowid<?)"
BY_CORRELATION = "SEARCH stored_events USING COVERING INDEX by_correlation (correlation_id=? AND rowid>? AND rowid<?)"
BY_COMMAND = "SEARCH first USING INDEX by_command (command_id=?)"
BY_POSITION = "SEARCH stored_events USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"
BESIDE = "SCAN side.entries VIRTUAL TABLE INDEX 64:M2><"
BESIDE_BACKWARDS = "SCAN side.entries VIRTUAL TABLE INDEX 192:M2><"
"""By the index beside the log: 64 for its own order, 128 more for that backwards."""

ROW = "SEARCH e USING INTEGER PRIMARY KEY (rowid=?)"
"""How a candidate's row is come by."""

SMALL = {"SCAN l", "SCAN names"}
"""The row that says how far the index beside the log is; and the names found, for each of which one step is made."""

LATER = 1_800_000_000_000_000

ASKED = [
    (Filters(), BY_POSITION, BY_POSITION),
    (Filters(stream="conversation-a"), BY_STREAM, BY_STREAM),
    (Filters(event="conversation.message_said"), BY_TOPIC, BY_TOPIC),
    (Filters(event="conversation.message_said/1"), BY_TOPIC, BY_TOPIC),
    (Filters(rejected=True), BY_TOPIC, BY_TOPIC),
    (Filters(rejected=False), BY_POSITION, BY_POSITION),
    (Filters(principal="ada"), BY_PRINCIPAL, BY_PRINCIPAL),
    (Filters(correlation="c"), BY_CORRELATION, BY_CORRELATION),
    (Filters(command_id="c"), BY_COMMAND, BY_COMMAND),
    (Filters(since=0), BY_POSITION, BY_POSITION),
    (Filters(until=LATER), BY_POSITION, BY_POSITION),
    (Filters(since=0, until=LATER), BY_POSITION, BY_POSITION),
    (Filters(category="conversation"), BESIDE, BY_POSITION),
    (Filters(causation="conversation-a@1"), BESIDE, BY_POSITION),
    (Filters(origin="boot.1"), BESIDE, BY_POSITION),
    (Filters(text="one"), BESIDE, BY_POSITION),
    (Filters(category="conversation", rejected=True), BESIDE, BY_TOPIC),
    (Filters(category="conversation", rejected=False), BESIDE, BY_POSITION),
    (Filters(principal="ada", category="conversation"), BESIDE, BY_PRINCIPAL),
    (Filters(text="one", principal="ada", stream="conversation-a"), BESIDE, BY_PRINCIPAL),
]
"""Questions, the way to what the index beside the log has, and the way to what the log alone has."""


async def written(path: Path) -> None:
    """Of one conversation, and a refusal."""
    async with open_sqlite(path) as store:
        await say(store, stream("a"), "one", "two")
        await store.append(stream("b"), [refused()], expected_version=0)


def refused() -> Decision:
    return Decision(stamp(), Say("m", "r", "in vain"), (CommandRejected("busy", "come back later"),))


async def assert_goes_by(path: Path, filters: Filters, *ways: str) -> None:
    """A page, the same backwards, and a count: the candidates come these ways, one after the other."""
    log = AuditLog(path)
    page, count = await log.plan(filters), await log.plan(filters, counting=True)
    assert [line for line in page if gives_candidates(line)] == list(ways)
    assert [line for line in count if gives_candidates(line)] == list(ways)
    back = await log.plan(filters, newest_first=True)
    assert [line for line in back if gives_candidates(line)] == [backwards(way) for way in reversed(ways)]
    assert (page.count(ROW), back.count(ROW)) == (len(ways), len(ways))
    for told in (page, back, count):
        assert scans(told) == []
        assert sorts(told) == [] or filters.command_id is not None, "one decision's events may be sorted"


def gives_candidates(line: str) -> bool:
    return line.startswith(("SEARCH stored_events ", "SEARCH first ", "SCAN side."))


def backwards(way: str) -> str:
    return BESIDE_BACKWARDS if way == BESIDE else way


def scans(told: Sequence[str]) -> list[str]:
    """What is gone through from its beginning to its end, other than the candidates found."""
    others = (line for line in told if line not in (BESIDE, BESIDE_BACKWARDS))
    return [line for line in others if line.startswith("SCAN ") and not re.fullmatch(r"SCAN \(subquery-\d\)", line)]


def sorts(told: Sequence[str]) -> list[str]:
    return [line for line in told if "B-TREE" in line]


@pytest.mark.parametrize(("filters", "beside"), [(filters, beside) for filters, beside, _ in ASKED])
async def test_each_filter_is_answered_by_an_index_in_its_own_order(path: Path, filters: Filters, beside: str) -> None:
    await written(path)
    await Index(path).level()
    await assert_goes_by(path, filters, beside)


@pytest.mark.parametrize(("filters", "own"), [(filters, own) for filters, _, own in ASKED])
async def test_without_an_index_beside_it_the_log_answers_by_its_own(path: Path, filters: Filters, own: str) -> None:
    await written(path)
    await assert_goes_by(path, filters, own)


@pytest.mark.parametrize(("filters", "beside", "own"), ASKED)
async def test_what_the_index_beside_the_log_has_not_yet_is_answered_by_those_of_the_log(
    path: Path, filters: Filters, beside: str, own: str
) -> None:
    await written(path)
    await Index(path).level()
    async with open_sqlite(path) as store:
        await say(store, stream("a"), "three")
    await assert_goes_by(path, filters, beside, own)


async def test_the_versions_that_an_event_is_stored_in_are_merged_and_not_sorted(path: Path) -> None:
    await written(path)
    with raw(path) as connection:
        connection.execute("DROP TRIGGER only_archived")
        connection.execute("UPDATE stored_events SET topic = 'conversation.message_said/2' WHERE rowid = 2")
    log, filters = AuditLog(path), Filters(event="conversation.message_said")
    for told in (await log.plan(filters), await log.plan(filters, newest_first=True)):
        assert [line for line in told if gives_candidates(line)] == [BY_TOPIC, BY_TOPIC]
        assert (scans(told), sorts(told)) == ([], [])


class Explaining(sqlite3.Connection):
    """Notes the plan of whatever it is asked."""

    told: ClassVar[list[str]] = []

    def execute(self, sql: str, values: Any = (), /) -> sqlite3.Cursor:
        if sql.startswith(("SELECT", "WITH")):
            self.told.extend(line for *_, line in super().execute(f"EXPLAIN QUERY PLAN {sql}", values))
        return super().execute(sql, values)


@pytest.mark.parametrize("is_level", [True, False])
async def test_what_is_asked_on_the_way_to_an_answer_goes_by_an_index_too(
    path: Path, monkeypatch: pytest.MonkeyPatch, is_level: bool
) -> None:
    await written(path)
    if is_level:
        await Index(path).level()
    monkeypatch.setattr(Explaining, "told", [])
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=Explaining))
    log = AuditLog(path)
    for filters, _, _ in ASKED:
        for newest_first in (False, True):
            await log.page(filters, limit=1, newest_first=newest_first)
        await log.count(filters)
    log.close()
    assert BY_STREAM in Explaining.told
    assert set(scans(Explaining.told)) <= SMALL
