"""`callboard verify`, whatever somebody does to the log: it names the event, or the checkpoint that knows better."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import trio
from rich.console import Console

from adapters.setting_values import StoreAddress, Unusable
from adapters.verifying import NOTHING, Noted, key_of, noted_checkpoints, verify
from eventstore.chain import COLUMNS, link
from eventstore.checkpointing import copies_file
from eventstore.checkpoints import Checkpoint
from eventstore.opening import open_sqlite
from eventstore.proofs import checkpoints
from eventstore.signing import SigningKey
from tests.eventstore.checkpointed import kept
from tests.eventstore.logs import say, stream

A, B = stream("a"), stream("b")
STORED = [f"CAST({name} AS BLOB)" if name in ("state", "command") else name for name in COLUMNS]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a log of eight events: a1 a2 b1 a3 | b2 b3 | a4 a5, where | and the end are signed checkpoints."""
    folder = tmp_path_factory.mktemp("pristine")
    key = SigningKey.new(folder / "key.pem")

    async def fill() -> None:
        for batch in ((A, "a1", "a2"), (B, "b1"), (A, "a3")), ((B, "b2", "b3"),), ((A, "a4", "a5"),):
            async with kept(folder / "log.db", signer=key) as store:
                for to, *texts in batch:
                    await say(store, to, *texts, command_id=f"c {texts[0]}")

    trio.run(fill)
    return folder


@pytest.fixture
def log(pristine: Path, tmp_path: Path) -> Path:
    """A copy of it, to be tampered with."""
    return shutil.copytree(pristine, tmp_path / "copy") / "log.db"


@pytest.fixture
def key(pristine: Path) -> SigningKey:
    return SigningKey.load(pristine / "key.pem")


async def told(path: Path, noted: Noted = NOTHING) -> tuple[bool, str]:
    """Whether the log holds, and what is said of it."""
    out = io.StringIO()
    holds = await verify(StoreAddress(path), Console(file=out, highlight=False, width=500), noted)
    return holds, out.getvalue()


def tamper(path: Path, change: Callable[[sqlite3.Connection], object]) -> None:
    """Somebody who knows SQLite, to whom triggers are no obstacle."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        change(connection)


def run(*statements: str) -> Callable[[sqlite3.Connection], object]:
    return lambda connection: [connection.execute(statement) for statement in statements]


def chain_anew(connection: sqlite3.Connection, first: int, last: int) -> None:
    """Make the hashes fit what stands there now, from one position to another."""
    query = f"SELECT {', '.join(STORED)} FROM stored_events WHERE rowid BETWEEN ? AND ? ORDER BY rowid"
    before = connection.execute("SELECT hash FROM stored_events WHERE rowid = ?", (first - 1,)).fetchone()
    previous = before[0] if before else bytes(32)
    for columns in connection.execute(query, (first, last)).fetchall():
        previous = link(previous, columns)
        connection.execute("UPDATE stored_events SET hash = ? WHERE rowid = ?", (previous, columns[0]))


def moved(by: int, *positions: int) -> list[str]:
    return [f"UPDATE stored_events SET rowid = {at + by} WHERE rowid = {at}" for at in positions]


def inserted(at: int) -> Callable[[sqlite3.Connection], object]:
    """An event of a stream of its own, the others moved up; its own hash is as it must be there."""

    def change(connection: sqlite3.Connection) -> None:
        run(*moved(1, *range(8, at - 1, -1)))(connection)
        copied = "topic, state, recorded_at, correlation_id, NULL, NULL, principal, origin, NULL, x''"
        query = (
            f"INSERT INTO stored_events SELECT {at}, 'conversation-c', 1, {copied} FROM stored_events WHERE rowid = 9"
        )
        connection.execute(query)
        chain_anew(connection, at, at)

    return change


def both(*changes: Callable[[sqlite3.Connection], object]) -> Callable[[sqlite3.Connection], object]:
    return lambda connection: [change(connection) for change in changes]


def chained_anew(first: int, last: int = 1 << 60) -> Callable[[sqlite3.Connection], object]:
    """The hashes fit what stands there now, from one position to another."""
    return lambda connection: chain_anew(connection, first, last)


def replaced_tail(first: int) -> Callable[[sqlite3.Connection], object]:
    def change(connection: sqlite3.Connection) -> None:
        connection.execute(f"UPDATE stored_events SET principal = 'eve' WHERE rowid >= {first}")
        chain_anew(connection, first, 1 << 60)

    return change


async def test_an_untouched_log_holds_with_its_checkpoints_and_says_who_signed_them(log: Path, key: SigningKey) -> None:
    holds, said = await told(log, Noted(keys=(key.public,)))
    assert holds
    assert said.startswith("3 checkpoints hold, the newest of 8 events; signed by the key given up to position 8.\n")
    assert "The chain holds: 8 events; head " in said
    assert "their signatures are checked with --public-key" in (await told(log))[1]


CHANGES = {
    "originator_id": "originator_id = 'conversation-c'",
    "originator_version": "originator_version = 9",
    "topic": "topic = 'conversation.final_heard/1'",
    "state": "state = replace(state, 'b1', 'b!')",
    "recorded_at": "recorded_at = recorded_at + 1",
    "correlation_id": "correlation_id = 'other'",
    "causation_id": "causation_id = 'conversation-a@1'",
    "command_id": "command_id = 'c-3'",
    "principal": "principal = 'bob'",
    "origin": "origin = 'boot.1'",
    "command": "command = replace(command, 'b1', 'b!')",
    "hash": "hash = zeroblob(32)",
}


def test_every_column_has_its_mutation() -> None:
    assert set(CHANGES) | {"rowid"} == {*COLUMNS, "hash"}


@pytest.mark.parametrize("column", CHANGES)
async def test_an_event_that_was_altered_in_any_column_is_named(log: Path, column: str) -> None:
    tamper(log, run(f"UPDATE stored_events SET {CHANGES[column]} WHERE rowid = 3"))
    holds, said = await told(log)
    assert not holds
    name = {"originator_id": "conversation-c@1", "originator_version": "conversation-b@9"}.get(
        column, "conversation-b@1"
    )
    assert said.startswith(f"The chain is broken at position 3 ({name}): ")


STRUCTURE: dict[str, tuple[Callable[[sqlite3.Connection], object], str]] = {
    "swapped": (run(*moved(100, 3), *moved(-1, 4), *moved(-99, 103)), "The chain is broken at position 3 "),
    "first deleted": (
        run("DELETE FROM stored_events WHERE rowid = 1"),
        "The chain is broken at position 2 (conversation-a@2): positions 1 to 1 are missing before it.",
    ),
    "deleted in the middle": (
        run("DELETE FROM stored_events WHERE rowid = 4"),
        "The chain is broken at position 5 (conversation-b@2): positions 4 to 4 are missing before it.",
    ),
    "last deleted": (
        run("DELETE FROM stored_events WHERE rowid = 8"),
        "The log was cut off behind position 7: the checkpoint of 8 events of 2023-11-14 22:13:20 UTC has 1 event ",
    ),
    "deleted, the others moved down": (
        run("DELETE FROM stored_events WHERE rowid = 4", *moved(-1, 5, 6, 7, 8)),
        "The chain is broken at position 4 ",
    ),
    "inserted": (
        inserted(4),
        "The chain is broken at position 4 (conversation-c@1): it was inserted: what is at 5 now was recorded here.",
    ),
    "inserted first": (inserted(1), "The chain is broken at position 1 (conversation-c@1): it was inserted: "),
    "inserted, made anew": (
        both(inserted(6), chained_anew(6)),
        "Events were replaced at positions 5 to 6: the chain was made anew there, ",
    ),
    "replaced with a hash of its own": (
        both(run("UPDATE stored_events SET principal = 'eve' WHERE rowid = 6"), chained_anew(6, 6)),
        "Events were replaced at positions 5 to 6: ",
    ),
    "the end made anew": (replaced_tail(7), "Events were replaced at positions 7 to 8: "),
    "all made anew": (replaced_tail(1), "Events were replaced at positions 1 to 4: "),
}


@pytest.mark.parametrize("tampering", STRUCTURE)
async def test_what_was_deleted_inserted_moved_or_made_anew_is_named(log: Path, tampering: str) -> None:
    change, expected = STRUCTURE[tampering]
    tamper(log, change)
    holds, said = await told(log)
    assert not holds
    assert said.startswith(expected)


async def test_where_every_event_has_a_checkpoint_the_one_that_was_replaced_is_named(tmp_path: Path) -> None:
    path = tmp_path / "each.db"
    for number in range(1, 6):
        async with kept(path) as store:
            await say(store, A, f"a{number}")
    tamper(path, replaced_tail(4))
    assert (await told(path))[1].startswith("Events were replaced at position 4: ")


# --- what is known from elsewhere -------------------------------------------------------------------------------


def forget_checkpoints(path: Path) -> None:
    tamper(path, run("DELETE FROM chain_checkpoints"))
    copies_file(path).unlink()


async def test_whoever_deletes_the_checkpoints_too_is_caught_by_one_noted_elsewhere(log: Path, tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    noted.write_bytes(copies_file(log).read_bytes())
    tamper(log, replaced_tail(6))
    forget_checkpoints(log)
    assert (await told(log))[0], "a chain alone cannot know"
    holds, said = await told(log, Noted(checkpoints=tuple(noted_checkpoints(noted))))
    assert not holds
    assert said.startswith("Events were replaced at positions 5 to 6: ")


async def test_a_cut_is_seen_by_a_checkpoint_noted_elsewhere(log: Path, tmp_path: Path) -> None:
    async with open_sqlite(log) as store:
        newest = (await store.look(checkpoints))[-1]
    (tmp_path / "noted").write_text(newest.note)
    tamper(log, run("DELETE FROM stored_events WHERE rowid > 5"))
    forget_checkpoints(log)
    holds, said = await told(log, Noted(checkpoints=tuple(noted_checkpoints(tmp_path / "noted"))))
    assert not holds
    assert said.startswith("The log was cut off behind position 5: ")
    assert said.endswith(" has 3 events more.\n")


async def test_the_copies_beside_the_log_are_believed_too(log: Path) -> None:
    tamper(log, both(replaced_tail(7), run("DELETE FROM chain_checkpoints")))
    assert (await told(log))[1].startswith("Events were replaced at positions 7 to 8: ")


async def test_copies_of_the_log_that_this_one_was_restored_in_place_of_are_left_aside(log: Path) -> None:
    tamper(log, run("DELETE FROM stored_events WHERE rowid > 6", "DELETE FROM chain_checkpoints WHERE size > 6"))
    assert not (await told(log))[0]
    tamper(log, run("UPDATE log_identity SET value = 'another' WHERE name = 'epoch'"))
    holds, said = await told(log)
    assert holds
    assert said.startswith("2 checkpoints hold, the newest of 6 events")


async def test_the_line_that_is_being_written_is_no_reason_for_doubt(log: Path) -> None:
    with copies_file(log).open("ab") as file:
        file.write(b'{"size":9,"checkp')
    assert (await told(log))[0]


async def test_copies_that_are_none_are_named(log: Path) -> None:
    copies_file(log).write_text('{"checkpoint": "callboard/1"}\n')
    with pytest.raises(Unusable, match=r"log\.db-checkpoints\.jsonl: this is no checkpoint of a log"):
        await told(log)


async def test_a_checkpoint_in_the_log_that_is_none_is_named(log: Path) -> None:
    tamper(log, run("UPDATE chain_checkpoints SET note = 'x' WHERE size = 6"))
    assert (await told(log)) == (False, "The log's checkpoints were altered: this is no checkpoint of a log.\n")


# --- signatures -------------------------------------------------------------------------------------------------


def sign_anew(path: Path, size: int, signer: SigningKey | None) -> None:
    """The checkpoint of so many events as somebody else would make it for the log as it is now."""
    copies = [json.loads(line)["checkpoint"] for line in copies_file(path).read_text().splitlines()]
    old = next(each for each in map(Checkpoint.parse, copies) if each.size == size)
    made = Checkpoint.of(old.epoch, old.size, old.root, old.head, old.time + 1, signer)
    tamper(path, lambda c: c.execute("UPDATE chain_checkpoints SET note = ? WHERE size = ?", (made.note, size)))
    copies_file(path).unlink()


async def test_signatures_reach_as_far_as_the_key_has_signed(log: Path, key: SigningKey) -> None:
    sign_anew(log, 8, None)
    holds, said = await told(log, Noted(keys=(key.public,)))
    assert holds
    assert "signed by the key given up to position 6." in said


async def test_another_keys_signature_counts_for_nothing(log: Path, key: SigningKey, tmp_path: Path) -> None:
    other = SigningKey.new(tmp_path / "other.pem")
    sign_anew(log, 8, other)
    assert "up to position 6." in (await told(log, Noted(keys=(key.public,))))[1]
    assert "up to position 8." in (await told(log, Noted(keys=(key.public, other.public))))[1]
    third = SigningKey.new(tmp_path / "third.pem")
    assert await told(log, Noted(keys=(third.public,))) == (
        False,
        "No checkpoint is signed by the key given; 3 are there.\n",
    )


async def test_a_false_signature_is_named(log: Path, key: SigningKey) -> None:
    tamper(log, run("UPDATE chain_checkpoints SET note = replace(note, 'time 17', 'time 16') WHERE size = 6"))
    holds, said = await told(log, Noted(keys=(key.public,)))
    assert not holds
    assert said.startswith("A signature is false: it is under the checkpoint of 6 events of ")


async def test_unsigned_checkpoints_say_so(tmp_path: Path) -> None:
    async with kept(tmp_path / "log.db") as store:
        await say(store, A, "a1")
    assert (await told(tmp_path / "log.db"))[1].startswith("1 checkpoint holds, the newest of 1 event; unsigned.\n")


def test_a_key_is_given_by_its_digits_or_by_a_file(key: SigningKey, tmp_path: Path) -> None:
    (tmp_path / "hex").write_text(key.public.hex() + "\n")
    assert key_of(key.public.hex()) == key_of(str(tmp_path / "hex")) == key.public
    (tmp_path / "hex").write_text("no key")
    with pytest.raises(Unusable, match="is no Ed25519 public key"):
        key_of(str(tmp_path / "hex"))
