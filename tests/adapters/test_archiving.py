"""Ended streams go to archives, by hand and by the rules of retention; and what is forgotten is forgotten there too."""

from __future__ import annotations

import gzip
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import trio
from msgspec import json

from adapters import cli
from adapters.deeds import record_in
from adapters.forgetting import Forgetting, nothing_in_memory
from adapters.gateways.blobs import blobs_beside
from adapters.retention import PRINCIPAL
from core.audit import StreamsArchived
from core.channel import Publish, Published
from core.conversation import (
    ConversationForked,
    ConversationOpened,
    ForkConversation,
    MessageSaid,
    OpenConversation,
    Role,
    Say,
)
from core.identifiers import Category, StreamName
from core.messages import Decision, Recorded, Stamp
from eventstore.archives import archive_file, archives_beside
from eventstore.masterkey import make_master_key, read_master_key
from eventstore.opening import open_sqlite, open_sqlite_read_only
from eventstore.retention import heard_since, silent_since
from eventstore.sealing import Vault
from eventstore.sqlite import SQLiteStore
from tests.adapters.whole import Whole, serving

Run = Callable[..., tuple[int, str, str]]

AT_ONCE = "0.0000000001"
"""Days, after which everything is old."""
SECRET = "the code of my door is 4711"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`callboard …`: exit code, standard output, standard error."""
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.delenv("CALLBOARD_ENCRYPTION_KEY", raising=False)

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()  # what the server of a fixture said
        monkeypatch.setattr(sys, "argv", ["callboard", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


def served(path: Path, **more: str) -> dict[str, str]:
    return {"CALLBOARD_STORE": f"sqlite:///{path}", **more}


async def talk(server: Whole, *, ends: bool) -> str:
    """The id of a conversation in which something was said."""
    id = await server.opened()
    answer = await server.http.post(f"/api/v2/conversations/{id}/messages", json={"content": SECRET})
    assert answer.status_code == 200, answer.text
    if ends:
        assert (await server.http.put(f"/api/v2/conversations/{id}/end")).status_code == 200
    return id


@pytest.fixture
def log(tmp_path: Path) -> tuple[Path, str, str]:
    """A log with a conversation that has ended and one that has not."""
    path = tmp_path / "log.db"

    async def fill() -> tuple[str, str]:
        async with serving(**served(path)) as server:
            return await talk(server, ends=True), await talk(server, ends=False)

    return path, *trio.run(fill)


def recorded(path: Path, kind: type) -> list[Recorded]:
    async def read() -> list[Recorded]:
        async with open_sqlite_read_only(path) as store:
            return [record for record in await store.read_all() if isinstance(record.event, kind)]

    return trio.run(read)


def in_archives(path: Path) -> bytes:
    return b"".join(gzip.decompress(file.read_bytes()) for file in archives_beside(path))


# --- by hand --------------------------------------------------------------------------------------------------------


def test_what_has_ended_is_archived_on_record_and_reads_as_before(run: Run, log: tuple[Path, str, str]) -> None:
    path, ended, open_ = log
    store = ("--store", f"sqlite:///{path}")
    before = run("replay", ended, *store), run("log", "show", ended, "--json", *store)
    code, out, err = run("archive", "--older-than", "0", "--dry-run", *store)
    assert (code, err) == (0, "")
    assert out == f"conversation-{ended}\n1 streams have ended and would be archived\n"
    assert not archives_beside(path)

    code, out, err = run("archive", "--older-than", "0", *store)
    digest = sha256(archive_file(path, 1).read_bytes()).hexdigest()
    assert (code, err) == (0, "")
    assert out.startswith("Archive 000001: ")
    assert f"events of 1 streams, 0.0 MB, SHA-256 {digest[:16]}…" in out
    assert "The log's file had" in out
    (told,) = recorded(path, StreamsArchived)
    assert (told.event.archive, told.event.sha256, told.event.streams) == ("000001", digest, 1)
    assert SECRET.encode() in in_archives(path)
    assert open_.encode() not in in_archives(path)
    assert (run("replay", ended, *store), run("log", "show", ended, "--json", *store)) == before
    for command in ("verify", "check"):
        assert run(command, *store)[0] == 0

    code, out, _ = run("archive", "--older-than", "0", "--no-compact", *store)
    assert (code, out) == (0, "No stream has ended that long ago and is not archived yet\n")


def test_what_ended_lately_stays(run: Run, log: tuple[Path, str, str]) -> None:
    path, _, _ = log
    code, out, _ = run("archive", "--no-compact", "--store", f"sqlite:///{path}")
    assert (code, out) == (0, "No stream has ended that long ago and is not archived yet\n")


def test_what_cannot_be_archived_is_said_in_one_line(run: Run, log: tuple[Path, str, str], tmp_path: Path) -> None:
    path, _, _ = log
    for arguments, reason in (
        (("--store", f"sqlite:///{tmp_path}/none.db"), "there is no log at"),
        (("--store", "memory:"), "there is no log at"),
        (
            ("--store", f"sqlite:///{path}", "--category", "channel"),
            "streams of channel do not end; write conversation",
        ),
    ):
        code, out, err = run("archive", *arguments)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert reason in err


async def test_a_log_that_a_server_holds_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with serving(**served(path)):
        command = [sys.executable, "-m", "adapters.cli", "archive", "--store", f"sqlite:///{path}"]
        done = await trio.run_process(command, capture_stderr=True, check=False)
    assert done.returncode == 1
    assert b"it archives by itself with CALLBOARD_ARCHIVE_AFTER" in done.stderr


def test_whoever_changes_what_an_archive_says_beside_the_texts_is_found_by_its_digest(
    run: Run, log: tuple[Path, str, str]
) -> None:
    path, _, _ = log
    store = ("--store", f"sqlite:///{path}")
    assert run("archive", "--older-than", "0", *store)[0] == 0
    file = archive_file(path, 1)
    lines = gzip.decompress(file.read_bytes())
    assert b'"principal":"anonymous"' in lines
    file.write_bytes(gzip.compress(lines.replace(b'"principal":"anonymous"', b'"principal":"mallory"')))
    code, out, _ = run("verify", *store)
    assert code == 1
    assert "An archive was altered: log.db-archive-000001.jsonl.gz has another digest than on record." in out
    file.unlink()
    code, _, err = run("check", *store, "--processes", "1")
    assert code == 1
    assert "log.db-archive-000001.jsonl.gz is missing; put the archive back from a backup" in err


def test_a_stream_that_cannot_be_read_or_was_altered_keeps_no_other_from_its_archive(
    run: Run, log: tuple[Path, str, str]
) -> None:
    path, ended, _ = log
    store = ("--store", f"sqlite:///{path}")

    async def more() -> tuple[str, str]:
        async with serving(**served(path)) as server:
            return await talk(server, ends=True), await talk(server, ends=True)

    altered, strange = trio.run(more)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER only_archived")
        change = "UPDATE stored_events SET {} WHERE originator_id = ? AND originator_version = 2"
        connection.execute(change.format("principal = 'mallory'"), (f"conversation-{altered}",))
        connection.execute(change.format("topic = 'conversation.sung/1'"), (f"conversation-{strange}",))
    code, out, _ = run("archive", "--older-than", "0", *store)
    assert code == 0
    assert "events of 1 streams" in out
    assert f"conversation-{altered}@2 is not what was recorded" in out
    assert f"stream=conversation-{strange}" in out
    assert ended.encode() in in_archives(path)


# --- by the rules of retention --------------------------------------------------------------------------------------


async def followed(path: Path, name: str) -> tuple[str, Any]:
    """Who did the first thing of its name that is done with the log, and what is said of it."""
    query = "SELECT principal, state FROM stored_events WHERE topic = ? ORDER BY rowid"
    with trio.fail_after(30), closing(sqlite3.connect(path)) as connection:
        while (found := connection.execute(query, (f"audit.{name}/1",)).fetchone()) is None:  # noqa: ASYNC110  # the file has no event
            await trio.sleep(0.02)
    return found[0], json.decode(found[1])


def test_a_server_archives_what_has_ended_by_itself_and_shows_it_as_before(log: tuple[Path, str, str]) -> None:
    path, ended, open_ = log

    async def serve_on() -> None:
        async with serving(**served(path)) as server:
            before = (await server.http.get(f"/api/v2/conversations/{ended}/messages")).json()
        async with serving(**served(path, CALLBOARD_ARCHIVE_AFTER=AT_ONCE)) as server:
            who, told = await followed(path, "streams_archived")
            assert (who, told["streams"]) == (PRINCIPAL, 1)
            assert (await server.http.get(f"/api/v2/conversations/{ended}/messages")).json() == before
            assert (await server.http.get(f"/api/v2/conversations/{open_}/messages")).status_code == 200

    trio.run(serve_on)
    assert SECRET.encode() in in_archives(path)


async def test_a_server_forgets_those_who_were_silent_for_long_and_nobody_else(tmp_path: Path) -> None:
    path, key = tmp_path / "log.db", tmp_path / "key"
    make_master_key(key)
    sealed = served(path, CALLBOARD_ENCRYPTION_KEY=str(key))
    async with serving(**sealed) as server:
        id = await talk(server, ends=True)
    async with serving(**sealed, CALLBOARD_FORGET_AFTER="30") as server:
        assert SECRET in (await server.http.get(f"/api/v2/conversations/{id}/messages")).text
    async with serving(**sealed, CALLBOARD_FORGET_AFTER=AT_ONCE, CALLBOARD_ARCHIVE_AFTER=AT_ONCE) as server:
        who, told = await followed(path, "subject_forgotten")
        assert (who, told["subject"]) == (PRINCIPAL, f"stream:conversation-{id}")
        with trio.fail_after(30):  # on record comes first, and then the keys go
            while SECRET in (await server.http.get(f"/api/v2/conversations/{id}/messages")).text:  # noqa: ASYNC110  # as above
                await trio.sleep(0.02)


async def test_what_is_sealed_is_sealed_in_the_archive_and_gone_with_its_key(run: Run, tmp_path: Path) -> None:
    path, key = tmp_path / "log.db", tmp_path / "key"
    make_master_key(key)
    async with serving(**served(path, CALLBOARD_ENCRYPTION_KEY=str(key))) as server:
        id = await talk(server, ends=True)
    async with serving(**served(path, CALLBOARD_ENCRYPTION_KEY=str(key), CALLBOARD_ARCHIVE_AFTER=AT_ONCE)) as server:
        await followed(path, "streams_archived")
        assert SECRET in (await server.http.get(f"/api/v2/conversations/{id}/messages")).text
    assert in_archives(path)
    assert SECRET.encode() not in in_archives(path)
    async with open_sqlite(path, master=read_master_key(key)) as store:
        record = partial(record_in, store, Stamp("c", 1))
        stream = StreamName.of(Category.CONVERSATION, id)
        done = await Forgetting(store, path, blobs_beside(path)).forget(stream, record, nothing_in_memory)
        assert done.keys == 1
        assert SECRET not in repr(await store.read_stream(stream))


# --- who was heard of -----------------------------------------------------------------------------------------------

LONG_AGO, LATELY = 1_000, 2_000_000


async def noted(store: SQLiteStore, to: StreamName, text: str, time: int, principal: str = "anonymous") -> None:
    version = len(await store.read_stream(to))
    stamp = Stamp("c", time, principal=principal)
    if to.category is Category.CHANNEL:
        decision = Decision(stamp, Publish("news", {"text": text}), (Published("news", {"text": text}),))
    elif version:
        decision = Decision(stamp, Say("m", "r", text), (MessageSaid("m", Role.USER, text),))
    else:
        opened = ConversationOpened("friendly", "daily", None, None, "api")
        decision = Decision(stamp, OpenConversation(), (opened, MessageSaid("m", Role.USER, text)))
    await store.append(to, [decision], expected_version=version)


async def test_a_fork_is_heard_of_for_the_stream_it_was_forked_from_and_a_channel_for_nobody(tmp_path: Path) -> None:
    path, key = tmp_path / "log.db", tmp_path / "key"
    make_master_key(key)
    names = ("source", "silent", "anns", "bobs")
    source, silent, anns, bobs = (StreamName.of(Category.CONVERSATION, name) for name in names)
    async with open_sqlite(path, master=read_master_key(key)) as store:
        for stream, who in ((source, "anonymous"), (silent, "anonymous"), (anns, "ann"), (bobs, "bob")):
            await noted(store, stream, "hello", LONG_AGO, who)
        fork = StreamName.of(Category.CONVERSATION, "fork")
        forked = Decision(Stamp("c", LATELY), ForkConversation(str(source), 2), (ConversationForked(str(source), 2),))
        await store.append(fork, [forked], expected_version=0)
        await noted(store, StreamName.of(Category.CONVERSATION, "anns2"), "again", LATELY, "ann")
        news = StreamName.of(Category.CHANNEL, "news")
        for who, time in (("bob", LONG_AGO), ("ann", LATELY)):
            await noted(store, news, "news", time, who)
        assert isinstance(store.opener, Vault)
        ring = store.opener.ring
        found = silent_since(path, ring, LATELY)
        assert found.subjects == ("person:bob", f"stream:{silent}")
        assert silent_since(path, ring, LONG_AGO).subjects == ()
        await noted(store, bobs, "I am back", LATELY, "bob")
        assert heard_since(path, found.head) == {"person:bob"}
