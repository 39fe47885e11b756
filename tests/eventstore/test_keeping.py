"""Backups: of one moment while others write, checked before they are called done, whole or not there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest
import trio

from core.identifiers import Category, StreamName
from core.messages import Decision
from core.session import Media, MediaKind, MediaReceived
from eventstore import copying
from eventstore.backups import BLOBS, CHECKPOINTS, KEYS, LOG, MANIFEST, NotKept, beside, read_manifest
from eventstore.catalog import EVENTS
from eventstore.inspection import BLOBS_OF
from eventstore.keeping import back_up, check_backup
from eventstore.opening import open_sqlite
from tests.eventstore.kills import killed_at, places, some
from tests.eventstore.logs import PATIENCE, raw, said, say, stamp, stream

SESSION = StreamName.of(Category.SESSION, "s")
BODY = b"a recording"
DIGEST = sha256(BODY).hexdigest()
KEPT = ("durable.py", "keeping.py", "copying.py", "inspection.py", "backups.py")
KILLS = int(os.environ.get("CALLBOARD_KILLS", "16"))
"""Lines at which it is killed; 1000 are all of them."""

backed_up = partial(back_up, version="1.2.3")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log with some events, one of which names a blob, and checkpoints and keys beside it."""
    path = tmp_path / "served" / "callboard.db"
    trio.run(_fill, path)
    put_blob(path)
    beside(path, CHECKPOINTS).write_bytes(b'{"size":1}\n{"size":2}\n{"si')
    with raw(beside(path, KEYS)) as keys:
        keys.execute("CREATE TABLE keys (id TEXT)")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backups" / "nightly"


async def _fill(path: Path) -> None:
    async with open_sqlite(path) as store:
        await say(store, stream("a"), "one", "two", command_id="c-1")
        heard = MediaReceived(MediaKind.AUDIO, Media(DIGEST, len(BODY), "audio/webm"), 5)
        await store.append(SESSION, [Decision(stamp("c-2"), said("x").command, (heard,))], expected_version=0)
        await say(store, stream("b"), "three")
        await store.save_checkpoint("board", 3, b'{"rows":[]}')


def put_blob(log: Path) -> Path:
    """The blob that the log names, in its place."""
    path = beside(log, BLOBS) / DIGEST[:2] / DIGEST
    path.parent.mkdir(parents=True)
    path.write_bytes(BODY)
    return path


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def rows(path: Path) -> list[tuple[object, ...]]:
    with raw(path) as connection:
        return connection.execute("SELECT * FROM stored_events ORDER BY rowid").fetchall()


def test_a_backup_has_the_log_and_what_belongs_to_it_and_says_so(log: Path, folder: Path) -> None:
    manifest = backed_up(log, folder)
    copy = folder / LOG
    assert rows(copy) == rows(log)
    assert (beside(copy, BLOBS) / DIGEST[:2] / DIGEST).read_bytes() == BODY
    assert beside(copy, CHECKPOINTS).read_bytes() == b'{"size":1}\n{"size":2}\n', "only lines that are whole"
    assert (manifest.events, manifest.head) == (4, rows(log)[-1][-1].hex())  # type: ignore[attr-defined]  # bytes
    assert (manifest.blobs.count, manifest.blobs.bytes, manifest.lost_blobs) == (1, len(BODY), ())
    assert (manifest.log, manifest.version) == ("callboard.db", "1.2.3")
    assert check_backup(folder) == manifest == read_manifest(folder)


def test_a_backup_is_a_log_that_can_be_read_and_has_its_views(log: Path, folder: Path) -> None:
    backed_up(log, folder)
    with raw(folder / LOG) as copy:
        assert copy.execute("SELECT position FROM checkpoints").fetchall() == [(3,)]
        assert copy.execute("PRAGMA journal_mode").fetchone() == ("delete",), "one plain file, without others beside it"
    assert names_in(folder) == [LOG, f"{LOG}{BLOBS}", f"{LOG}{CHECKPOINTS}", MANIFEST]


def test_the_keys_are_in_it_only_when_they_are_asked_for(log: Path, folder: Path) -> None:
    assert not backed_up(log, folder).has_keys
    assert not beside(folder / LOG, KEYS).exists()
    again = folder.with_name("with keys")
    assert backed_up(log, again, with_keys=True).has_keys
    assert beside(again / LOG, KEYS).stat().st_mode & 0o777 == 0o600


class Forward:
    """Hears how far it is: nothing may begin anew, or on a busy log it would for ever."""

    def __init__(self) -> None:
        self._reached: dict[str, int] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        assert self._reached.get(what, 0) <= done <= total
        self._reached[what] = done


async def test_a_backup_while_others_write_is_the_log_of_one_moment(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "PIECE", 2)
    path = tmp_path / "log.db"
    async with open_sqlite(path, apart=True) as store, trio.open_nursery() as writing:
        await say(store, stream(0), "first" * 10_000)

        async def write() -> None:
            for number in range(1, 10_000):
                await store.append(stream(number), [said("more")], expected_version=0)

        writing.start_soon(write)
        with trio.fail_after(PATIENCE):
            for number in range(5):
                at, to = store.head, folder.with_name(f"number {number}")
                manifest = await trio.to_thread.run_sync(partial(backed_up, path, to, tell=Forward()))
                assert at <= manifest.events <= store.head
                assert rows(to / LOG) == rows(path)[: manifest.events]
        assert store.head > 5, "somebody wrote meanwhile"
        writing.cancel_scope.cancel()


def test_a_log_that_is_altered_is_not_backed_up(log: Path, folder: Path) -> None:
    with raw(log) as connection:
        connection.execute("DROP TRIGGER only_archived")
        connection.execute("UPDATE stored_events SET principal = 'eve' WHERE rowid = 2")
    with pytest.raises(NotKept, match=r"the chain of the log is broken at position 2 \(conversation-a@2\)"):
        backed_up(log, folder)
    assert names_in(folder.parent) == []


def test_what_is_there_is_not_overwritten(log: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    with pytest.raises(NotKept, match="is there already, and is left as it is; name a folder that is not"):
        backed_up(log, folder)


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"another recording")])
def test_a_blob_that_is_lost_is_named(log: Path, folder: Path, damage: Callable[[Path], object]) -> None:
    damage(beside(log, BLOBS) / DIGEST[:2] / DIGEST)
    assert backed_up(log, folder).lost_blobs == (DIGEST,)
    assert check_backup(folder).lost_blobs == (DIGEST,)


def test_every_event_that_names_blobs_is_known_to_the_inspection() -> None:
    naming = {name for name, cls in EVENTS.items() if "Media" in str(getattr(cls, "__annotations__", {}).get("media"))}
    assert naming
    assert naming < BLOBS_OF.keys() <= EVENTS.keys()


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a bit of the log": lambda folder: _flip(folder / LOG),
    "no log": lambda folder: (folder / LOG).unlink(),
    "a bit of the checkpoints": lambda folder: _flip(beside(folder / LOG, CHECKPOINTS)),
    "a bit of a blob": lambda folder: _flip(beside(folder / LOG, BLOBS) / DIGEST[:2] / DIGEST),
    "no blobs": lambda folder: shutil.rmtree(beside(folder / LOG, BLOBS)),
    "a manifest of fewer events": lambda folder: _rewrite(folder, '"events": 4', '"events": 3'),
    "a manifest that is cut off": lambda folder: _rewrite(folder, "}\n", ""),
    "a manifest of a later format": lambda folder: _rewrite(folder, '"format": 1', '"format": 2'),
    "no manifest": lambda folder: (folder / MANIFEST).unlink(),
}


def _rewrite(folder: Path, old: str, new: str) -> None:
    manifest = folder / MANIFEST
    manifest.write_text(manifest.read_text().replace(old, new))


@pytest.mark.parametrize("damage", DAMAGES)
def test_any_damage_of_a_backup_is_found(log: Path, folder: Path, damage: str) -> None:
    backed_up(log, folder)
    DAMAGES[damage](folder)
    with pytest.raises(NotKept, match=r"^the backup .*/nightly is (damaged|of format 2)|is no backup"):
        check_backup(folder)


def test_whoever_is_killed_while_backing_up_leaves_a_whole_backup_or_none(log: Path, folder: Path) -> None:
    def step() -> None:
        backed_up(log, folder)

    lines = places(step, KEPT)
    for place in some(lines, KILLS):
        shutil.rmtree(folder, ignore_errors=True)
        killed_at(step, KEPT, place)
        if folder.exists():
            check_backup(folder)
        else:
            step()
        assert names_in(folder.parent) == [folder.name], "of the attempt before nothing is left"
    assert len(lines) > 60


def test_nothing_of_an_attempt_that_was_killed_gets_into_the_next(log: Path, folder: Path) -> None:
    left = folder.with_name(".backup.partial") / "left"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"from before")
    assert "left" not in backed_up(log, folder).files
    assert "left" not in names_in(folder)


def test_what_a_killed_backup_left_goes_with_the_next_also_where_each_night_has_its_name(
    log: Path, folder: Path
) -> None:
    def monday() -> None:
        back_up(log, folder.with_name("monday"), version="1", with_keys=True)

    lines = places(monday, KEPT)
    shutil.rmtree(folder.parent)
    killed_at(monday, KEPT, lines[-len(lines) // 4])
    assert names_in(folder.parent) != []
    backed_up(log, folder.with_name("tuesday"))
    assert names_in(folder.parent) == ["tuesday"]


def test_of_two_at_one_time_the_second_is_refused(log: Path, folder: Path) -> None:
    def second(what: str, done: int, total: int) -> None:
        with pytest.raises(NotKept, match=r"another backup is being made in .*; wait until it is done"):
            backed_up(log, folder.with_name("other"))

    backed_up(log, folder, tell=second)
    assert check_backup(folder).events == 4
