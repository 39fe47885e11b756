"""Restoring: checked, whole or not at all, over nobody's log, with another epoch; also of what was put back by hand."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import trio

from core.ports import StoreUnavailable
from eventstore.backups import BLOBS, CHECKPOINTS, KEYS, LOG, NotKept, beside
from eventstore.checkpoints import Checkpoint
from eventstore.keeping import back_up
from eventstore.masterkey import MasterKey
from eventstore.opening import open_sqlite
from eventstore.renewal import epoch_of, renewals_of
from eventstore.restoring import restore
from eventstore.sqlite import SQLiteStore
from tests.eventstore.kills import killed_at, places, some
from tests.eventstore.logs import assert_chained, assert_sound, raw, say, stream, whole

DIGEST = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
"""Of the blob "abc"."""
RESTORE = ("durable.py", "restoring.py", "keeping.py", "inspection.py", "backups.py", "renewal.py", "locking.py")
KILLS = int(os.environ.get("CALLBOARD_KILLS", "16"))


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A backup of a log with three events, a blob, a checkpoint and keys."""
    log, folder = tmp_path / "old" / "log.db", tmp_path / "backup"
    trio.run(_write, log, "one", "two", "three")
    blob = beside(log, BLOBS) / DIGEST[:2] / DIGEST
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"abc")
    note(log)
    with raw(beside(log, KEYS)) as keys:
        keys.execute("CREATE TABLE keys (id TEXT)")
    back_up(log, folder, version="1", with_keys=True)
    return folder


async def _write(log: Path, *texts: str) -> None:
    async with open_sqlite(log) as store:
        for text in texts:
            await say(store, stream("a"), text)


async def _look(log: Path, look: Callable[[SQLiteStore], object] = lambda store: store.epoch) -> object:
    async with open_sqlite(log) as store:
        await assert_chained(store)
        assert_sound(await whole(store))
        return look(store)


def note(log: Path) -> None:
    """A checkpoint of all that is in the log, as a server leaves it."""
    with raw(log) as opened:
        size, head = opened.execute("SELECT rowid, hash FROM stored_events ORDER BY rowid DESC LIMIT 1").fetchone()
        line = Checkpoint.of(epoch_of(opened), size, bytes(32), head, 1, None).line
    with beside(log, CHECKPOINTS).open("ab") as file:
        file.write(line)


def epoch(log: Path) -> str:
    with raw(log) as opened:
        return epoch_of(opened)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "new" / "callboard.db"


def test_what_is_restored_is_the_log_with_all_that_belongs_to_it(backup: Path, log: Path) -> None:
    restored = restore(backup, log)
    with raw(log) as ours, raw(backup / LOG) as theirs:
        query = "SELECT * FROM stored_events ORDER BY rowid"
        assert ours.execute(query).fetchall() == theirs.execute(query).fetchall()
    assert (beside(log, BLOBS) / DIGEST[:2] / DIGEST).read_bytes() == b"abc"
    assert beside(log, CHECKPOINTS).read_bytes() == beside(backup / LOG, CHECKPOINTS).read_bytes()
    assert (restored.keys, beside(log, KEYS).stat().st_mode & 0o777) == ("backup", 0o600)
    assert trio.run(_look, log, lambda store: store.head) == 3


def test_a_restored_log_has_another_epoch_and_says_why(backup: Path, log: Path) -> None:
    restored = restore(backup, log)
    assert restored.epoch == trio.run(_look, log) != restored.manifest.epoch
    with raw(log) as opened:
        (renewal,) = renewals_of(opened)
    assert (renewal.epoch, renewal.events) == (restored.manifest.epoch, 3)
    assert renewal.by.startswith("restored from the backup of 2")


def test_a_restored_log_goes_on_and_is_restored_again(backup: Path, log: Path, tmp_path: Path) -> None:
    restore(backup, log)
    trio.run(_write, log, "four")
    back_up(log, tmp_path / "second", version="1")
    restore(tmp_path / "second", tmp_path / "third" / "log.db")
    with raw(tmp_path / "third" / "log.db") as opened:
        assert [renewal.events for renewal in renewals_of(opened)] == [3, 4]
    assert len({epoch(backup / LOG), epoch(log), epoch(tmp_path / "third" / "log.db")}) == 3


def _of_another_log(log: Path) -> None:
    trio.run(_write, log.with_name("other.db"), "x")
    note(log.with_name("other.db"))
    beside(log.with_name("other.db"), CHECKPOINTS).rename(beside(log, CHECKPOINTS))


THERE: dict[str, Callable[[Path], object]] = {
    "callboard.db": lambda log: log.write_bytes(b""),
    "callboard.db-wal": lambda log: beside(log, "-wal").write_bytes(b"left"),
    "callboard.db-journal": lambda log: beside(log, "-journal").write_bytes(b"left"),
    "callboard.db-checkpoints.jsonl": _of_another_log,
}


@pytest.mark.parametrize("there", THERE)
def test_nothing_is_overwritten(backup: Path, log: Path, there: str) -> None:
    log.parent.mkdir()
    THERE[there](log)
    before = {path: path.read_bytes() for path in log.parent.iterdir()}
    with pytest.raises(NotKept, match=f"^there is already {there} in .*; move it away, or name another --store$"):
        restore(backup, log)
    assert {path: path.read_bytes() for path in log.parent.iterdir() if path.name != "callboard.db-lock"} == {
        path: content for path, content in before.items() if path.name != "callboard.db-lock"
    }


async def test_a_log_that_is_served_is_not_restored(backup: Path, log: Path) -> None:
    async with open_sqlite(log):
        with pytest.raises(StoreUnavailable, match=r"another process is serving .*; stop it, or"):
            await trio.to_thread.run_sync(partial(restore, backup, log))


@pytest.mark.parametrize("name", [LOG, f"{LOG}{BLOBS}/{DIGEST[:2]}/{DIGEST}", f"{LOG}{CHECKPOINTS}", f"{LOG}{KEYS}"])
def test_a_damaged_backup_is_not_restored(backup: Path, log: Path, name: str) -> None:
    content = bytearray((backup / name).read_bytes())
    content[len(content) // 2] ^= 1
    (backup / name).write_bytes(content)
    with pytest.raises(NotKept, match=r"^the backup .* is damaged: "):
        restore(backup, log)
    assert not log.exists()
    assert [path for path in log.parent.rglob("*") if path.is_file() and path.name.endswith(".partial")] == []


def test_keys_that_a_fresh_log_made_in_its_place_are_not_taken_for_the_logs_own(tmp_path: Path) -> None:
    async def begun(path: Path) -> None:
        async with open_sqlite(path, master=MasterKey(b"k" * 32)) as store:
            await say(store, stream("a"), "one")

    log, backup = tmp_path / "served" / "log.db", tmp_path / "backup"
    trio.run(begun, log)
    back_up(log, backup, version="1", with_keys=True)
    shutil.rmtree(log.parent)
    trio.run(begun, log)
    for left in log.parent.iterdir():
        if left.name != beside(log, KEYS).name:
            left.unlink()
    with pytest.raises(NotKept, match=f"there is already {beside(log, KEYS).name}"):
        restore(backup, log)
    beside(log, KEYS).unlink()
    assert restore(backup, log).keys == "backup"


def test_keys_that_are_there_stay_as_they_are_newer(backup: Path, log: Path) -> None:
    log.parent.mkdir()
    beside(log, KEYS).write_bytes(b"newer")
    assert restore(backup, log).keys == "place"
    assert beside(log, KEYS).read_bytes() == b"newer"


def test_whoever_is_killed_while_restoring_leaves_a_whole_log_or_none(backup: Path, log: Path) -> None:
    def step() -> None:
        restore(backup, log)

    lines = places(step, RESTORE)
    for place in some(lines, KILLS):
        shutil.rmtree(log.parent)
        killed_at(step, RESTORE, place)
        if not log.exists():
            step()
        assert trio.run(_look, log) != epoch(backup / LOG)
        assert (beside(log, BLOBS) / DIGEST[:2] / DIGEST).read_bytes() == b"abc"
        assert beside(log, CHECKPOINTS).exists()
        assert beside(log, KEYS).exists()
    assert len(lines) > 80


# --- put back by hand -------------------------------------------------------------------------------------------


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """A log of four events with a checkpoint of each, and `log.db.copy`, a copy of when it had two."""
    log = tmp_path / "log.db"
    for number in range(4):
        trio.run(_write, log, f"event {number}")
        note(log)
        if number == 1:
            shutil.copy(log, f"{log}.copy")
    return log


@pytest.mark.parametrize("torn", [b"", b'{"size":9,"che'])
def test_a_copy_put_back_by_hand_gets_another_epoch(served: Path, torn: bytes) -> None:
    before = epoch(served)
    with beside(served, CHECKPOINTS).open("ab") as file:
        file.write(torn)  # a server was killed while it wrote this
    shutil.copy(f"{served}.copy", served)
    after = trio.run(_look, served)
    assert after != before
    with raw(served) as opened:
        (renewal,) = renewals_of(opened)
    assert (renewal.epoch, renewal.events, renewal.by) == (before, 2, "put back by hand, from position 4")
    assert trio.run(_look, served) == after, "once"


def test_a_copy_that_grew_elsewhere_gets_another_epoch_where_it_is_put_back(served: Path, tmp_path: Path) -> None:
    before, elsewhere = epoch(served), tmp_path / "elsewhere" / "log.db"
    elsewhere.parent.mkdir()
    shutil.copy(f"{served}.copy", elsewhere)
    trio.run(_write, elsewhere, "another", "past", "altogether")
    assert epoch(elsewhere) == before, "nothing is known there of what it is behind of"
    shutil.copy(elsewhere, served)
    assert trio.run(_look, served) != before


def test_a_log_that_goes_on_keeps_its_epoch(served: Path) -> None:
    before = epoch(served)
    with beside(served, CHECKPOINTS).open("ab") as file:
        file.write(b'{"size":9,"che')  # a server was killed while it wrote this
    trio.run(_write, served, "more")
    assert trio.run(_look, served) == before


@pytest.mark.parametrize("content", [b"", b"nonsense\n", b"\xff\n", b'{"size":9}\n'])
def test_a_file_of_checkpoints_that_says_nothing_changes_nothing(served: Path, content: bytes) -> None:
    before = epoch(served)
    beside(served, CHECKPOINTS).write_bytes(content)
    assert trio.run(_look, served) == before
