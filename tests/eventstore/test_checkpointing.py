"""Checkpoints are made as the log grows, go on over restarts, and never go on from what is not what it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from eventstore.checkpointing import Interval, copies_file
from eventstore.checkpoints import Checkpoint, MalformedCheckpoint, parse_file
from eventstore.merkle import TILE, root_of
from eventstore.opening import open_sqlite
from eventstore.proofs import checkpoints, hashes, tree_file
from eventstore.signing import SigningKey
from eventstore.sqlite import SQLiteStore
from tests.eventstore.checkpointed import NOW, TriosClock, kept
from tests.eventstore.logs import PATIENCE, raw, say, stream

A = stream("a")


async def reaches(store: SQLiteStore, size: int) -> list[Checkpoint]:
    """The checkpoints, once there is one of this size. A thread takes no virtual time, so the clock may run ahead."""
    made: list[Checkpoint] = []
    for _ in range(1000):
        made = await store.look(checkpoints)
        if made and made[-1].size == size:
            return made
        await trio.sleep(0.1)
    raise AssertionError(f"no checkpoint of {size} events: {made}")


async def noted(path: Path) -> list[Checkpoint]:
    async with open_sqlite(path) as store:
        return await store.look(checkpoints)


def copied(path: Path) -> list[Checkpoint]:
    return parse_file(copies_file(path).read_text())


async def test_a_checkpoint_is_made_after_so_many_events(path: Path, autojump_clock: MockClock) -> None:
    async with kept(path, Interval(events=3, seconds=1e9)) as store:
        await say(store, A, "1", "2")
        await trio.sleep(100)
        assert await store.look(checkpoints) == []
        await say(store, A, "3")
        (made,) = await reaches(store, 3)
        contents = await store.look(lambda select: hashes(select, 0, 3))
    assert (made.size, made.root, made.head) == (3, root_of(contents), contents[-1])
    assert (made.epoch, made.time, made.is_signed) == (store.epoch, NOW, False)
    assert copied(path) == [made]


async def test_a_checkpoint_is_made_some_time_after_the_log_grew_and_no_other_while_it_does_not(
    path: Path, autojump_clock: MockClock
) -> None:
    began = trio.current_time()
    async with kept(path, Interval(events=1000, seconds=60), clock=TriosClock()) as store:
        await say(store, A, "1")
        (made,) = await reaches(store, 1)
        assert made.time / 1e6 - began >= 60
        while not copies_file(path).exists():  # noqa: ASYNC110  # a thread writes it, and this clock does not wait for it
            await trio.sleep(1)
        await trio.sleep(1000)
    assert [made.size for made in copied(path)] == [1]


async def test_the_last_checkpoint_is_made_when_the_log_is_closed(path: Path) -> None:
    async with kept(path) as store:
        await say(store, A, "1", "2")
    async with kept(path):
        pass
    assert [made.size for made in await noted(path)] == [2]


async def test_over_restarts_every_checkpoint_has_the_root_of_all_events(path: Path) -> None:
    for count in (1, TILE - 2, 1, 1, 2 * TILE):
        async with kept(path) as store:
            await say(store, A, *(f"{count} {n}" for n in range(count)))
            contents = await store.look(lambda select: hashes(select, 0, store.head))
        made = (await noted(path))[-1]
        assert (made.size, made.root) == (len(contents), root_of(contents))
        assert len(contents) < TILE or len(tree_file(path).read_bytes()) == len(contents) // TILE * 32
    assert copied(path) == await noted(path)


@pytest.mark.parametrize("harm", ["gone", "cut off", "changed", "too long"])
async def test_files_beside_the_log_are_made_anew_from_it(path: Path, harm: str) -> None:
    async with kept(path) as store:
        await say(store, A, *(str(n) for n in range(TILE + 5)))
    async with kept(path) as store:
        await say(store, A, "more")
    right = {file: file.read_bytes() for file in (tree_file(path), copies_file(path))}
    for file, content in right.items():
        lines = content.splitlines(keepends=True)
        match harm:
            case "gone":
                file.unlink()
            case "cut off":
                file.write_bytes(content[:-10])
            case "changed":
                file.write_bytes(bytes(len(content)) if file == tree_file(path) else lines[0])
            case _:
                file.write_bytes(content + content[:32] if file == tree_file(path) else content)
    async with kept(path):
        pass
    assert {file: file.read_bytes() for file in right} == right


async def test_what_cannot_be_written_beside_the_log_costs_no_checkpoint(path: Path) -> None:
    for file in (copies_file(path), tree_file(path)):
        file.mkdir()
    with capture_logs() as logs:
        async with kept(path) as store:
            await say(store, A, *(str(n) for n in range(TILE)))
    assert [made.size for made in await noted(path)] == [TILE]
    assert {entry["event"] for entry in logs} == {"a file beside the log cannot be written"}


async def test_nothing_goes_on_from_events_that_were_changed(path: Path) -> None:
    async with kept(path) as store:
        await say(store, A, "1", "2", "3")
    with raw(path) as connection:
        connection.execute("DROP TRIGGER only_archived")
        connection.execute("UPDATE stored_events SET hash = zeroblob(32) WHERE rowid = 2")
    with capture_logs() as logs:
        async with kept(path) as store:
            await say(store, A, "4")
    assert [made.size for made in await noted(path)] == [3]
    (entry,) = [entry for entry in logs if entry["log_level"] == "error"]
    assert entry["event"] == "no checkpoints are made any more"
    assert "`callboard verify`" in entry["reason"]


async def test_nothing_goes_on_over_a_gap(path: Path) -> None:
    with capture_logs() as logs:
        async with kept(path) as store:
            await say(store, A, "1", "2", "3")
            with raw(path) as connection:
                connection.execute("DROP TRIGGER no_delete")
                connection.execute("DELETE FROM stored_events WHERE rowid = 2")
    assert await noted(path) == []
    assert any("missing" in str(entry.get("reason")) for entry in logs)


async def test_a_checkpoint_that_could_not_be_written_is_made_later(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventstore.checkpointing.PAUSE", 0.01)
    with capture_logs() as logs, trio.fail_after(PATIENCE):
        async with kept(path, Interval(events=1)) as store:
            with raw(path) as connection:
                connection.execute("ALTER TABLE chain_checkpoints RENAME TO elsewhere")
                await say(store, A, "1")
                while not any(entry["event"] == "no checkpoint could be made now" for entry in logs):
                    await store.read_all()  # which lets the others go on
                connection.execute("ALTER TABLE elsewhere RENAME TO chain_checkpoints")
            while not await store.look(checkpoints):
                pass


async def test_checkpoints_are_for_ever(path: Path) -> None:
    async with kept(path) as store:
        await say(store, A, "1")
    with raw(path) as connection:
        for change in ("UPDATE chain_checkpoints SET note = ''", "DELETE FROM chain_checkpoints"):
            with pytest.raises(Exception, match="checkpoints are for ever"):
                connection.execute(change)


async def test_a_failure_inside_comes_out_as_it_is(path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        async with kept(path):
            raise ZeroDivisionError


async def test_a_checkpoint_reads_as_it_was_written(path: Path, tmp_path: Path) -> None:
    key = SigningKey.new(tmp_path / "key")
    for signer in (key, None):
        made = Checkpoint.of("0123", 7, bytes(32), bytes(range(32)), 1, signer)
        assert Checkpoint.parse(made.note) == made
        assert made.is_signed == (signer is not None)
        assert parse_file(made.line.decode()) == parse_file(made.note) == parse_file(made.note.strip()) == [made]


CHANGES = [
    "\n7\n|\n07\n",
    "callboard/|other/",
    "head |head x",
    "time 1|time",
    "\n\n|\n",
    "— |- ",
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_not_written_as_a_checkpoint_is_none(tmp_path: Path, change: str) -> None:
    note = Checkpoint.of("0123", 7, bytes(32), bytes(32), 1, SigningKey.new(tmp_path / "key")).note
    old, _, new = change.partition("|")
    assert old in note
    with pytest.raises(MalformedCheckpoint):
        Checkpoint.parse(note.replace(old, new))
