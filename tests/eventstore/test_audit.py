"""Questions to a log: each filter finds what holds, in order, page after page, by an index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from core.conversation import MessageSaid, Role, Say
from core.decider import CommandRejected
from core.identifiers import Category, StreamName
from core.messages import Decision, Recorded, Stamp
from core.ports import StoreUnavailable
from eventstore import audit as asking
from eventstore import index, index_reading, searching
from eventstore.audit import AuditLog, Entry, Filters, TooBroad
from eventstore.codec import events
from eventstore.cursors import BadCursor
from eventstore.index import Index
from eventstore.opening import open_sqlite
from tests.eventstore.logs import stream, whole

TALKS = (stream("a"), stream("b"), StreamName.of(Category.SESSION, "a"))
SAYINGS = ("Hello there", "the café is open", "good-bye, all", "hello again", "a needle in the hay")


def decision(n: int) -> Decision:
    stamp = Stamp(
        correlation_id=f"correlation-{n // 3}",
        time=1_000 + 10 * n,
        command_id=f"command-{n}",
        causation_id=None if n % 4 else f"{TALKS[0]}@1",
        principal=f"person-{n % 3}",
        origin=f"boot.{n % 5}",
    )
    text = SAYINGS[n % len(SAYINGS)]
    if n % 7 == 0:
        return Decision(stamp, Say("m", "r", f"{text} in vain"), (CommandRejected("busy", "come back later"),))
    said = tuple(MessageSaid(f"m-{n}-{part}", Role.USER, f"{text} {part}") for part in range(n % 2 + 1))
    return Decision(stamp, Say("m", "r", text), said)


@pytest.fixture
async def log(path: Path) -> list[Recorded]:
    """Some sixty events of twenty minutes in three streams."""
    async with open_sqlite(path) as store:
        versions = dict.fromkeys(TALKS, 0)
        for n in range(40):
            talk = TALKS[n * n % 3]
            versions[talk] += len(await store.append(talk, [decision(n)], expected_version=versions[talk]))
        return await whole(store)


def said(record: Recorded) -> str:
    """What is in the command that led to it, and so in the event too or beside it."""
    return SAYINGS[int((record.stamp.command_id or "").rpartition("-")[2]) % len(SAYINGS)]


def is_refusal(record: Recorded) -> bool:
    return isinstance(record.event, CommandRejected)


QUESTIONS: dict[str, tuple[Filters, Callable[[Recorded], bool]]] = {
    "everything": (Filters(), lambda _: True),
    "a stream": (Filters(stream=TALKS[1]), lambda it: it.stream == TALKS[1]),
    "a category": (Filters(category="session"), lambda it: it.stream.category is Category.SESSION),
    "a name with its version": (Filters(event="conversation.message_said/1"), lambda it: not is_refusal(it)),
    "a name in any version": (Filters(event="conversation.message_said"), lambda it: not is_refusal(it)),
    "a principal": (Filters(principal="person-2"), lambda it: it.stamp.principal == "person-2"),
    "a correlation": (Filters(correlation="correlation-4"), lambda it: it.stamp.correlation_id == "correlation-4"),
    "a cause": (Filters(causation=f"{TALKS[0]}@1"), lambda it: it.stamp.causation_id is not None),
    "a connection": (Filters(origin="boot.3"), lambda it: it.stamp.origin == "boot.3"),
    "a command with all its events": (Filters(command_id="command-9"), lambda it: it.stamp.command_id == "command-9"),
    "a time": (Filters(since=1_050, until=1_200), lambda it: 1_050 <= it.stamp.time < 1_200),
    "since a time": (Filters(since=1_300), lambda it: it.stamp.time >= 1_300),
    "refusals": (Filters(rejected=True), is_refusal),
    "all but refusals": (Filters(rejected=False), lambda it: not is_refusal(it)),
    "two that are rare together": (
        Filters(principal="person-1", origin="boot.2"),
        lambda it: (it.stamp.principal, it.stamp.origin) == ("person-1", "boot.2"),
    ),
    "a stream and a time": (
        Filters(stream=TALKS[0], until=1_100),
        lambda it: it.stream == TALKS[0] and it.stamp.time < 1_100,
    ),
    "words": (Filters(text="hello"), lambda it: "ello" in said(it)),
    "a phrase": (Filters(text='"café is"'), lambda it: "café is" in said(it)),
    "accents and case aside": (Filters(text="CAFE"), lambda it: "café" in said(it)),
    "the beginning of a word": (Filters(text="nee*"), lambda it: "needle" in said(it)),
    "what a refused command said": (Filters(text="vain"), is_refusal),
    "a word of a stream": (
        Filters(text="hello", stream=TALKS[0]),
        lambda it: "ello" in said(it) and it.stream == TALKS[0],
    ),
    "a word at a time": (
        Filters(text="good-bye", since=1_100, until=1_300),
        lambda it: "good-bye" in said(it) and 1_100 <= it.stamp.time < 1_300,
    ),
    "a word in a correlation": (
        Filters(text="hello", correlation="correlation-1"),
        lambda it: "ello" in said(it) and it.stamp.correlation_id == "correlation-1",
    ),
    "no word at all": (Filters(text="--- !"), lambda _: False),
    "nothing": (Filters(principal="nobody"), lambda _: False),
    "a name that is in no log": (Filters(event="conversation.never_happened"), lambda _: False),
    "a stream and what is not in it": (Filters(stream=TALKS[1], category="session"), lambda _: False),
}


async def paged(audit: AuditLog, filters: Filters, limit: int, *, newest_first: bool = False) -> list[Entry]:
    """All pages, one behind the other."""
    entries = list[Entry]()
    page = await audit.page(filters, limit=limit, newest_first=newest_first)
    while True:
        assert len(page.entries) <= limit
        entries += page.entries
        if page.next_cursor is None:
            return entries
        page = await audit.page(filters, limit=limit, newest_first=newest_first, cursor=page.next_cursor)


def positions(entries: Sequence[Entry]) -> list[int]:
    return [entry.position for entry in entries]


INDEXES = ("none", "level", "behind", "in small slices", "a few rows at a time", "none, a few rows at a time")


@pytest.fixture(params=INDEXES)
async def indexed(
    request: pytest.FixtureRequest, log: list[Recorded], path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[Recorded]:
    """The log, and beside it the index as it may be when somebody asks."""
    monkeypatch.setattr(index_reading, "BLOCK", 7)
    monkeypatch.setattr(index, "STEP", 9)
    if request.param == "in small slices":
        monkeypatch.setattr(searching, "SLICE", 5)
        monkeypatch.setattr(searching, "WHILE", 0.0)
    if "rows" in request.param:
        monkeypatch.setattr(searching, "LOOK", 6)
        monkeypatch.setattr(searching, "LOOK_INTO", 2)
    if "none" not in request.param:
        await Index(path).level()
    if request.param == "behind":
        async with open_sqlite(path) as store:
            for n in range(40, 50):
                log += await store.append(TALKS[0], [decision(n)], expected_version=versions_of(log, TALKS[0]))
    return log


def versions_of(log: Sequence[Recorded], talk: StreamName) -> int:
    return sum(record.stream == talk for record in log)


async def test_each_question_is_answered_with_what_holds_in_either_direction(
    indexed: list[Recorded], path: Path
) -> None:
    audit = AuditLog(path)
    for question, (filters, holds) in QUESTIONS.items():
        expected = [record.position for record in indexed if holds(record)]
        assert (question, positions(await paged(audit, filters, 4))) == (question, expected)
        assert (question, positions(await paged(audit, filters, 3, newest_first=True))) == (question, expected[::-1])
        assert (question, await audit.count(filters)) == (question, (len(expected), True))
        walked = [entry.position async for batch in audit.walk(filters) for entry in batch]
        assert (question, walked) == (question, expected)
    audit.close()


async def test_an_entry_has_all_that_the_log_says_of_an_event(log: list[Recorded], path: Path) -> None:
    record = log[10]
    (entry,) = (await AuditLog(path).page(Filters(), limit=11)).entries[10:]
    assert (entry.position, entry.stream, entry.version) == (record.position, record.stream, record.version)
    assert events.decode(entry.event, entry.payload) == record.event
    assert entry.principal == record.stamp.principal
    assert entry.time == record.stamp.time
    assert len(entry.hash) == 64


async def test_a_cursor_belongs_to_its_question_and_its_direction(log: list[Recorded], path: Path) -> None:
    audit = AuditLog(path)
    cursor = (await audit.page(Filters(), limit=2)).next_cursor
    for filters, newest_first in ((Filters(rejected=True), False), (Filters(), True)):
        with pytest.raises(BadCursor, match="another question"):
            await audit.page(filters, cursor=cursor, newest_first=newest_first)
    for nonsense in ("", "é", "AAAA", "x" * 5000):
        with pytest.raises(BadCursor):
            await audit.page(Filters(), cursor=nonsense)


@pytest.mark.parametrize(
    ("filters", "limits"),
    [
        (Filters(text="hello", origin="boot.99"), {"SLICE": 10, "WHILE": 0.0}),
        (Filters(text="nowhere"), {"LOOK_INTO": 10}),
        (Filters(rejected=False, principal="person-1", origin="boot.99"), {"LOOK": 10}),
    ],
)
async def test_a_page_does_not_look_at_all_of_a_large_log_for_what_is_nowhere(
    filters: Filters, limits: dict[str, float], log: list[Recorded], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, limit in limits.items():
        monkeypatch.setattr(searching, name, limit)
    if "SLICE" in limits:
        await Index(path).level()
    audit, pages = AuditLog(path), 1
    page = await audit.page(filters)
    while page.next_cursor is not None:
        assert page.entries == ()
        page, pages = await audit.page(filters, cursor=page.next_cursor), pages + 1
    assert 2 <= pages <= len(log) // 10 + 2


@pytest.mark.parametrize("newest_first", [False, True])
async def test_pages_end_also_where_each_of_them_adds_to_the_log(
    log: list[Recorded], path: Path, *, newest_first: bool
) -> None:
    audit, told, cursor, count = AuditLog(path), list[int](), None, len(log)
    for n in range(40, 42 + count):
        page = await audit.page(Filters(), limit=1, cursor=cursor, newest_first=newest_first)
        told += positions(page.entries)
        if (cursor := page.next_cursor) is None:
            break
        async with open_sqlite(path) as store:
            log += await store.append(TALKS[0], [decision(n)], expected_version=versions_of(log, TALKS[0]))
    assert cursor is None
    assert sorted(told) == list(range(1, count + 1))
    assert len(log) > count


async def test_a_question_that_takes_too_long_is_too_broad(
    log: list[Recorded], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = AuditLog(path)
    await audit.page(Filters(text="hello"))
    monkeypatch.setattr(asking, "STEPS", 10)
    monkeypatch.setattr(asking, "SECONDS", 0.0)
    for look in (audit.page, audit.count):
        with pytest.raises(TooBroad, match="too broad"):
            await look(Filters(text="hello"))
    assert [batch async for batch in audit.walk(Filters(text="hello"))]
    monkeypatch.undo()
    assert (await audit.page(Filters(text="hello"))).entries


async def test_a_count_ends_at_what_was_asked_for(log: list[Recorded], path: Path) -> None:
    assert await AuditLog(path).count(Filters(), at_most=7) == (7, False)


async def test_a_walk_ends_where_it_was_told_to(log: list[Recorded], path: Path) -> None:
    walked = [entry.position async for batch in AuditLog(path).walk(Filters(), after=3, until=9) for entry in batch]
    assert walked == [4, 5, 6, 7, 8, 9]


async def test_a_log_that_is_not_there_is_said_to_be_unreadable(path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        await AuditLog(path).page(Filters())
