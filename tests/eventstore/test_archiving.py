"""Archives: whoever reads the log reads the same as before, and nothing leaves it that is not safe elsewhere."""

from __future__ import annotations

import gzip
import io
import os
import re
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import trio
from msgspec import json
from rich.console import Console

from adapters.checking import check
from adapters.exports.formats import Format
from adapters.exports.writing import Export, Question
from adapters.outlining import outlined
from adapters.refusals import refused_among
from adapters.setting_values import StoreAddress
from adapters.verifying import verify
from core.identifiers import StreamName
from core.ports import DuplicateCommand, StoreUnavailable
from eventstore import archives, archiving
from eventstore.archived import left_over
from eventstore.archives import archive_file, archives_beside
from eventstore.archiving import Altered, NotArchived, known, let_go, write_archive
from eventstore.audit import AuditLog, Filters
from eventstore.backups import NotKept
from eventstore.checkpoints import Checkpoint
from eventstore.decisions import streams
from eventstore.index import Index
from eventstore.keeping import back_up, check_backup
from eventstore.opening import open_sqlite, open_sqlite_read_only
from eventstore.proofs import LoggedTree, event_proof, stored_texts
from eventstore.restoring import restore
from tests.eventstore.kills import killed_at, places, some
from tests.eventstore.logs import raw, say, stream, texts

KILLS = int(os.environ.get("CALLBOARD_KILLS", "12"))
"""Lines at which it is killed; 1000 are all of them."""
GOLDEN = Path(__file__).parents[1] / "golden_logs" / "0.1.0.db.gz"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The log of a release: streams of four categories, refusals, tools, speech."""
    path = tmp_path / "log.db"
    with gzip.open(GOLDEN) as packed, path.open("wb") as unpacked:
        shutil.copyfileobj(packed, unpacked)
    return path


async def archived(path: Path, only: list[str] | None = None) -> list[str]:
    """Archive these streams, or all there are, as whoever does so must; the archives' names."""
    names, made = only or [name for name, _ in streams(path)], []
    async with open_sqlite(path) as store:
        while names:
            it, stubs = write_archive(path, names)
            await store.write(known(it))
            for stub in stubs:
                await store.write(let_go(stub))
            names = names[it.streams :]
            made.append(it.name)
    return made


def texts_in(path: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT state, command FROM stored_events ORDER BY rowid").fetchall()


# --- what readers see -----------------------------------------------------------------------------------------------


async def by_the_store(path: Path) -> Any:
    async with open_sqlite_read_only(path) as store:
        each = [StreamName(name) for name, _ in streams(path)]
        ways = (store.read_stream, store.read_events, store.read_commands)
        read = [await way(it) for it in each for way in ways]
        ids = [(record.stream, record.stamp.command_id) for record in await store.read_all() if record.stamp.command_id]
        return read, await store.read_all(), [await store.read_outcome(*id) for id in ids], await store.read_rows()


async def by_questions(path: Path) -> Any:
    log = AuditLog(path)
    asked = [
        Filters(), Filters(text="the"), Filters(text="weather*"), Filters(rejected=True), Filters(category="call"),
        Filters(event="conversation.message_said"), Filters(category="conversation", text="a*"),
    ]  # fmt: skip
    try:
        walked = [entry for filters in asked async for batch in log.walk(filters) for entry in batch]
        return [await log.count(filters) for filters in asked], walked
    finally:
        log.close()


async def by_questions_to_a_new_index(path: Path) -> Any:
    for leftover in path.parent.glob(f"{path.name}-index*"):
        leftover.unlink()
    await Index(path).level()
    return await by_questions(path)


async def by_the_gate(path: Path) -> Any:
    return check(path, lambda _: None, processes=1)


async def by_proofs(path: Path) -> Any:
    async with open_sqlite_read_only(path) as store:

        def proofs(select: Any) -> Any:
            size = store.head
            tree = LoggedTree(select, size)
            made = Checkpoint.of(store.epoch, size, tree.root, b"h" * 32, 1, None)
            each = [event_proof(select, tree, made, position) for position in range(1, size + 1, 7)]
            return each, stored_texts(select, range(1, size + 1))

        return await store.look(proofs)


async def by_outlines(path: Path) -> Any:
    """What the console shows: outlines, and the commands behind refusals."""
    async with open_sqlite_read_only(path) as store:
        outlines, refusals = [], []
        for name, _ in streams(path):
            stream = StreamName(name)
            outlines.append((await outlined(store, stream)).encoded())
            refusals.append(await refused_among(store, stream, await store.read_stream(stream)))
        assert any(refusals)
        return outlines, refusals


READERS = (by_the_store, by_questions, by_questions_to_a_new_index, by_the_gate, by_proofs, by_outlines)


@pytest.mark.parametrize("read", READERS)
async def test_whoever_reads_the_log_reads_what_is_archived_as_before(
    log: Path, read: Callable[[Path], Awaitable[Any]]
) -> None:
    async with open_sqlite(log):
        pass  # the tables that came after that release
    before = await read(log)
    made = await archived(log)
    assert made == ["000001"]
    assert all(state.startswith(archives.STUB) for state, _ in texts_in(log))
    assert await read(log) == before


async def test_an_export_of_what_is_archived_has_the_digest_it_had(log: Path, tmp_path: Path) -> None:
    async def exported() -> str:
        question = Question(str(log), "e", len(texts_in(log)), Filters(), Format.JSONL, "x", 1)
        export = Export(AuditLog(log), question)
        digest = sha256()
        async for piece in export.pieces():
            digest.update(piece)
        return digest.hexdigest()

    async with open_sqlite(log):
        pass
    before = await exported()
    await archived(log)
    assert await exported() == before


async def test_a_stream_goes_on_behind_what_is_archived_and_is_archived_again(tmp_path: Path) -> None:
    path, talk = tmp_path / "log.db", stream("a")
    async with open_sqlite(path) as store:
        await say(store, talk, "one", "two", command_id="c-1")
        await say(store, stream("b"), "other")
    await archived(path, ["conversation-a"])
    async with open_sqlite(path) as store:
        await say(store, talk, "three", command_id="c-2")
        with pytest.raises(DuplicateCommand):
            await say(store, talk, "again", command_id="c-1")
        assert texts(await store.read_stream(talk)) == ["one", "two", "three"]
    assert await archived(path, ["conversation-a"]) == ["000002"]
    async with open_sqlite_read_only(path) as store:
        assert texts(await store.read_stream(talk)) == ["one", "two", "three"]
        assert texts(await store.read_outcome(talk, "c-1")) == ["one", "two"]
    assert [state.startswith(archives.STUB) for state, _ in texts_in(path)] == [True, True, False, True]


def test_an_archive_is_lines_of_json_that_anybody_can_read(log: Path) -> None:
    with closing(sqlite3.connect(log)) as connection:
        recorded = connection.execute(
            "SELECT rowid, originator_id, originator_version, topic, state, recorded_at, command, HEX(hash) "
            "FROM stored_events"
        ).fetchall()
    trio.run(archived, log)
    lines = list(map(json.decode, gzip.decompress(archive_file(log, 1).read_bytes()).splitlines()))
    names = ("position", "stream", "version", "event", "payload", "time", "command", "hash")
    told = sorted(tuple(line[name] for name in names) for line in lines)
    assert told == [
        (*row[:4], json.decode(row[4]), row[5], row[6] and json.decode(row[6]), row[7].lower()) for row in recorded
    ]


@pytest.mark.parametrize("most", [1, 7, 100])
def test_however_archives_are_cut_all_is_found(log: Path, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in (("MOST_EVENTS", most), ("PIECE", 2 * most), ("MEMBER", 500), ("KEPT", 9000)):
        monkeypatch.setattr(archiving, name, size)
    monkeypatch.setattr(archives, "KEPT", 2000)
    before = texts_in(log)
    trio.run(archived, log)
    assert len(archives_beside(log)) > 1
    with closing(archives.teach(sqlite3.connect(log), log)) as connection:
        query = f"SELECT {archives.STATE}, {archives.COMMAND} FROM stored_events ORDER BY rowid"
        assert connection.execute(query).fetchall() == before


# --- what is refused ------------------------------------------------------------------------------------------------


def only_read(path: Path) -> Any:
    async def read() -> Any:
        async with open_sqlite_read_only(path) as store:
            return await store.read_all()

    return trio.run(read)


def missing(file: Path) -> None:
    file.unlink()


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20])


def scratched(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(("harm", "told"), [(missing, "is missing"), (cut, "is damaged"), (scratched, "is damaged")])
def test_an_archive_that_cannot_be_read_is_named_with_the_remedy(
    log: Path, harm: Callable[[Path], None], told: str
) -> None:
    trio.run(archived, log)
    harm(archive_file(log, 1))
    named = f"log.db-archive-000001.jsonl.gz {told}.*put the archive back from a backup"
    with pytest.raises(StoreUnavailable, match=named):
        only_read(log)


def test_whoever_changes_a_text_in_an_archive_is_found_at_that_event(log: Path) -> None:
    trio.run(archived, log)
    file = archive_file(log, 1)
    lines = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
    chosen = next(at for at, line in enumerate(lines) if b"message_said" in line)
    event = json.decode(lines[chosen])
    lines[chosen] = lines[chosen].replace(event["payload"]["content"].encode(), b"something else")
    file.write_bytes(gzip.compress(b"".join(lines)))  # one member: all of this log fits into one
    said = io.StringIO()
    assert not trio.run(verify, StoreAddress(log), Console(file=said, width=500))
    assert f"{event['stream']}@{event['version']}" in said.getvalue()


async def test_nothing_else_of_an_event_can_be_changed_and_no_text_without_a_known_archive(log: Path) -> None:
    async with open_sqlite(log):
        pass
    texts = texts_in(log)
    place = archives.pointer(1, 0)
    stub = f"UPDATE stored_events SET state = '{place}', command = IIF(command IS NULL, NULL, '{place}')"
    attempts = [
        "UPDATE stored_events SET state = '{}'",
        f"UPDATE stored_events SET state = '{place}', command = NULL",
        stub,  # of an archive that is not known
    ]
    with raw(log) as connection:
        for attempt in attempts:
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(attempt)
        connection.execute("INSERT INTO archives VALUES ('000001', '{}')")
        changes = [f"{name} = {name} || 'x'" for name in ("originator_id", "topic", "principal", "origin", "hash")]
        for change in (*changes, "recorded_at = 1", "originator_version = originator_version + 1000"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(f"{stub}, {change}")
        with pytest.raises(sqlite3.IntegrityError, match="for ever"):
            connection.execute("DELETE FROM archives")
    assert texts_in(log) == texts


async def test_what_is_not_as_it_was_recorded_is_not_archived(log: Path) -> None:
    async with open_sqlite(log):
        pass
    with raw(log) as connection:
        connection.execute("DROP TRIGGER only_archived")
        connection.execute("UPDATE stored_events SET principal = 'mallory' WHERE rowid = 5")
    with pytest.raises(Altered, match="is not what was recorded; see what `callboard verify` says"):
        write_archive(log, [name for name, _ in streams(log)])
    assert not list(log.parent.glob("*archive*"))
    assert not list(log.parent.glob(".*archive*"))


# --- crashes and backups --------------------------------------------------------------------------------------------


def test_whoever_is_killed_while_archiving_has_lost_nothing_and_may_begin_again(tmp_path: Path) -> None:
    def filled(path: Path) -> Path:
        async def fill() -> None:
            path.parent.mkdir()
            async with open_sqlite(path) as store:
                for name in "ab":
                    await say(store, stream(name), "one", "two", "three", command_id=f"c-{name}")

        trio.run(fill)
        return path

    def step(path: Path) -> None:
        trio.run(archived, path)

    modules = ("eventstore/archiving.py", "eventstore/durable.py")
    found = places(lambda: step(filled(tmp_path / "whole" / "log.db")), modules)
    expected = only_read(tmp_path / "whole" / "log.db")
    assert len(found) > 50
    for number, place in enumerate(some(found, KILLS)):
        path = filled(tmp_path / f"killed{number}" / "log.db")
        killed_at(lambda path=path: step(path), modules, place)  # type: ignore[misc]  # bound now, on purpose
        assert [record.event for record in only_read(path)] == [record.event for record in expected]
        step(path)
        assert [record.event for record in only_read(path)] == [record.event for record in expected]
        assert all(state.startswith(archives.STUB) for state, _ in texts_in(path))
        assert not list(path.parent.glob(".*partial"))


def test_a_backup_has_the_archives_and_what_is_restored_reads_them(log: Path, tmp_path: Path) -> None:
    trio.run(archived, log)
    before = only_read(log)
    manifest = back_up(log, tmp_path / "backup", version="1")
    assert "log.db-archive-000001.jsonl.gz" in manifest.files
    assert check_backup(tmp_path / "backup") == manifest
    restored = tmp_path / "elsewhere" / "other.db"
    restore(tmp_path / "backup", restored)
    assert archives_beside(restored) == [restored.with_name("other.db-archive-000001.jsonl.gz")]
    assert only_read(restored) == before
    cut(tmp_path / "backup" / "log.db-archive-000001.jsonl.gz")
    with pytest.raises(NotKept, match=r"is damaged: log\.db-archive-000001\.jsonl\.gz is not what was written"):
        check_backup(tmp_path / "backup")


def test_nothing_is_restored_over_the_archives_of_another_log(log: Path, tmp_path: Path) -> None:
    trio.run(archived, log)
    back_up(log, tmp_path / "backup", version="1")
    lost = tmp_path / "served" / "log.db"
    lost.parent.mkdir()
    archive_file(lost, 1).write_bytes(b"of another log")
    with pytest.raises(NotKept, match=r"there is already log\.db-archive-000001\.jsonl\.gz"):
        restore(tmp_path / "backup", lost)
    shutil.copy(archive_file(log, 1), archive_file(lost, 1))  # its own, which survived
    restore(tmp_path / "backup", lost)
    assert only_read(lost) == only_read(log)


def test_no_query_reads_texts_but_by_the_expressions_that_know_of_archives() -> None:
    plain = re.compile(r"SELECT[^\"']*?(?<![.\w{])(?:e\.)?(state|command)\b(?!_| IS| =|_id)[^\"']*?FROM", re.DOTALL)
    known = {
        "archives.py", "archiving.py", "archived.py",  # what is in the log itself is their matter
        "resting.py",  # which looks whether it is a stub
        "unlocking.py",  # audit streams, which are never archived
    }  # fmt: skip
    root = Path(__file__).parents[2]
    found = [
        f"{path.name}: {match[0]}"
        for folder in ("eventstore", "adapters", "actors")
        for path in (root / folder).rglob("*.py")
        if path.name not in known
        for match in plain.finditer(path.read_text())
    ]
    assert found == []


def test_a_log_that_is_opened_by_a_link_has_its_archives_beside_itself(log: Path, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(log)
    expected = only_read(log)
    trio.run(archived, link)
    assert archives_beside(log) == archives_beside(link) == [archive_file(log, 1)]
    assert list(link.parent.iterdir()) == [link]
    assert only_read(log) == only_read(link) == expected


def test_an_archive_of_whoever_archives_beside_us_is_never_replaced(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [name for name, _ in streams(log)]
    trio.run(archived, log, names[:2])
    first = archive_file(log, 1).read_bytes()
    archive_file(log, 2).write_bytes(b"of a server that was killed before the log knew it")
    write_archive(log, names[2:4])
    assert archive_file(log, 3).exists()
    monkeypatch.setattr(archiving, "_next_number", lambda log, path: 1)  # it looked before the other one was done
    with pytest.raises(NotArchived, match="was made by somebody else meanwhile"):
        write_archive(log, names[4:])
    assert archive_file(log, 1).read_bytes() == first


async def test_what_was_left_in_the_log_by_who_was_killed_leaves_it_the_next_time(log: Path) -> None:
    names = [name for name, _ in streams(log)]
    async with open_sqlite(log) as store:
        assert left_over(log) == []
        it, stubs = write_archive(log, names)
        await store.write(known(it))
        assert left_over(log) == stubs
        for stub in left_over(log):
            await store.write(let_go(stub))
        assert left_over(log) == []
    assert all(state.startswith(archives.STUB) for state, _ in texts_in(log))
