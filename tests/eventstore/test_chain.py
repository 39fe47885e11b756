"""The hash chain: whatever is altered, missing, inserted or moved is found, and where."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from core.messages import Decision, Stamp
from eventstore.chain import COLUMNS, GENESIS, Break, Row, Verification, link
from eventstore.opening import open_sqlite
from tests.eventstore.logs import raw, said, say, stream

A, B = stream("a"), stream("b")


@pytest.fixture
async def log(path: Path) -> Path:
    """Six events: a1 a2 | b1 | a3 b2 b3, the second decision with everything a stamp can say."""
    async with open_sqlite(path) as store:
        await say(store, A, "a1", "a2", command_id="c-1")
        full = Stamp("corr", 5, "c-2", "conversation-a@2", "ann", "boot.1")
        decision = said("b1")
        await store.append(B, [Decision(full, decision.command, decision.events)], expected_version=0)
        await say(store, A, "a3")
        await say(store, B, "b2", "b3")
    return path


def tamper(path: Path, *statements: str) -> None:
    """Change the file as somebody would who knows SQLite: the triggers are no obstacle to them."""
    with raw(path) as connection:
        connection.execute("DROP TRIGGER only_archived")
        connection.execute("DROP TRIGGER no_delete")
        for statement in statements:
            connection.execute(statement)


async def verified(path: Path, page: int = 1000) -> Verification:
    async with open_sqlite(path) as store:
        verification = Verification()
        while rows := await store.read_rows(after=verification.position, limit=page):
            if verification.check(rows):
                break
        return verification


@pytest.mark.parametrize("page", [1, 2, 1000])
async def test_an_untouched_log_holds_whatever_the_pages_it_is_read_in(log: Path, page: int) -> None:
    verification = await verified(log, page)
    assert verification.broken is None
    assert verification.position == 6
    with raw(log) as connection:
        assert connection.execute("SELECT hash FROM stored_events WHERE rowid = 6").fetchone()[0] == verification.head


async def test_the_hash_is_what_the_documentation_says(log: Path) -> None:
    """So that an auditor can check it with a program of their own."""
    names = [f"CAST({name} AS BLOB)" if name in ("state", "command") else name for name in COLUMNS]
    with raw(log) as connection:
        rows = connection.execute(f"SELECT {', '.join(names)}, hash FROM stored_events ORDER BY rowid").fetchall()
    previous = bytes(32)
    for *columns, stored in rows:
        previous = sha256(previous + msgspec.msgpack.encode(columns)).digest()
        assert previous == stored


CHANGES = {
    "rowid": "rowid = 7",
    "originator_id": "originator_id = 'conversation-c'",
    "originator_version": "originator_version = 9",
    "topic": "topic = 'conversation.final_heard/1'",
    "state": "state = replace(state, 'b1', 'b!')",
    "recorded_at": "recorded_at = recorded_at + 1",
    "correlation_id": "correlation_id = 'other'",
    "causation_id": "causation_id = NULL",
    "command_id": "command_id = 'c-3'",
    "principal": "principal = 'bob'",
    "origin": "origin = ''",
    "command": "command = NULL",
    "hash": "hash = zeroblob(32)",
}


def test_every_column_is_tampered_with() -> None:
    assert set(CHANGES) == {*COLUMNS, "hash"}


@pytest.mark.parametrize("column", CHANGES)
async def test_an_altered_column_is_found_in_its_row(log: Path, column: str) -> None:
    tamper(log, f"UPDATE stored_events SET {CHANGES[column]} WHERE rowid = 3")
    broken = (await verified(log)).broken
    assert broken is not None
    assert broken.position == (4 if column == "rowid" else 3)  # where nothing is at 3 any more, 4 tells of it


@pytest.mark.parametrize(
    "change",
    [
        "state = json_set(state, '$.feedback', json('{}'))",
        "state = state || ' '",
        "state = CAST(state AS BLOB) || x'00'",
        "recorded_at = CAST(recorded_at AS TEXT) || 'x'",
        "principal = CAST(principal AS BLOB)",
        "causation_id = ''",
        "command_id = NULL",
        "hash = CAST('x' AS TEXT)",
    ],
)
async def test_a_change_nobody_would_see_is_found_too(log: Path, change: str) -> None:
    tamper(log, f"UPDATE stored_events SET {change} WHERE rowid = 3")
    broken = (await verified(log)).broken
    assert broken is not None
    assert broken.position == 3


COPIED = "'conversation-c', 1, topic, state, 0, '', NULL, NULL, '', '', NULL, hash FROM stored_events"
REORDERINGS: dict[str, tuple[tuple[str, ...], int]] = {
    "two events swapped": (
        (
            "UPDATE stored_events SET rowid = 100 WHERE rowid = 3",
            "UPDATE stored_events SET rowid = 3 WHERE rowid = 4",
            "UPDATE stored_events SET rowid = 4 WHERE rowid = 100",
        ),
        3,
    ),
    "two payloads swapped": (
        (
            "CREATE TEMP TABLE two AS SELECT rowid AS n, state FROM stored_events WHERE rowid IN (5, 6)",
            "UPDATE stored_events AS e SET state = (SELECT state FROM two WHERE n = 11 - e.rowid) WHERE rowid > 4",
        ),
        5,
    ),
    "the first event deleted": (("DELETE FROM stored_events WHERE rowid = 1",), 2),
    "an event deleted": (("DELETE FROM stored_events WHERE rowid = 3",), 4),
    "an event deleted and the others moved up": (
        (
            "DELETE FROM stored_events WHERE rowid = 3",
            *(f"UPDATE stored_events SET rowid = {n - 1} WHERE rowid = {n}" for n in (4, 5, 6)),
        ),
        3,
    ),
    "an event inserted": (
        (
            *(f"UPDATE stored_events SET rowid = {n + 1} WHERE rowid = {n}" for n in (6, 5, 4)),
            f"INSERT INTO stored_events SELECT 4, {COPIED} WHERE rowid = 3",
        ),
        4,
    ),
    "an event added at the end": ((f"INSERT INTO stored_events SELECT 7, {COPIED} WHERE rowid = 6",), 7),
}


@pytest.mark.parametrize("reordering", REORDERINGS)
async def test_an_event_in_the_wrong_place_is_found(log: Path, reordering: str) -> None:
    statements, position = REORDERINGS[reordering]
    tamper(log, *statements)
    broken = (await verified(log)).broken
    assert broken is not None
    assert broken.position == position


async def test_what_was_cut_off_at_the_end_shows_by_the_head_alone(log: Path) -> None:
    """No chain can tell by itself: whoever wants to know keeps the head (position and hash) elsewhere."""
    kept = await verified(log)
    tamper(log, "DELETE FROM stored_events WHERE rowid > 4")
    cut = await verified(log)
    assert cut.broken is None
    assert (cut.position, cut.head) != (kept.position, kept.head)


async def test_the_first_break_is_the_one_that_is_named(log: Path) -> None:
    tamper(
        log,
        "UPDATE stored_events SET principal = 'x' WHERE rowid = 5",
        "UPDATE stored_events SET principal = 'x' WHERE rowid = 2",
    )
    assert (await verified(log)).broken == Break(
        2, "conversation-a@2", "its content or its place in the log is not what was recorded"
    )


async def test_a_gap_of_positions_is_named(log: Path) -> None:
    tamper(log, "DELETE FROM stored_events WHERE rowid IN (3, 4)")
    broken = (await verified(log)).broken
    assert broken == Break(5, "conversation-b@2", "positions 3 to 4 are missing before it")


# --- verification alone -----------------------------------------------------------------------------------------


def chained(*events: tuple[str, int], after: bytes = GENESIS, position: int = 0) -> list[Row]:
    rows = []
    for name, version in events:
        position += 1
        columns = (position, name, version, "topic", b"{}", 0, "", None, None, "", "", None)
        after = link(after, columns)
        rows.append((*columns, after))
    return rows


def test_a_gap_in_a_stream_is_found_although_the_chain_was_made_to_fit() -> None:
    verification = Verification()
    broken = verification.check(chained(("a", 1), ("b", 1), ("a", 3)))
    assert broken == Break(3, "a@3", "its stream has a gap: version 2 is missing")
    assert Verification().check(chained(("a", 2))) == Break(1, "a@2", "its stream has a gap: version 1 is missing")


def test_a_verification_goes_on_where_an_earlier_one_ended() -> None:
    rows = chained(("a", 1), ("b", 1), ("a", 2), ("b", 2))
    first = Verification()
    assert first.check(rows[:2]) is None
    second = Verification(first.position, first.head)
    assert second.check(rows[2:]) is None
    assert second.position == 4
    assert Verification(first.position, GENESIS).check(rows[2:]) is not None


def test_once_broken_a_verification_stays_where_it_was() -> None:
    rows = chained(("a", 1), ("a", 2), ("a", 3))
    verification = Verification()
    first = verification.check([rows[0], (*rows[1][:-1], GENESIS)])
    assert verification.check(rows[2:]) is first is not None
    assert verification.position == 1


async def test_appending_goes_on_from_the_last_hash_in_the_file(log: Path) -> None:
    async with open_sqlite(log) as store:
        await say(store, A, "a4")
    assert (await verified(log)).position == 7
