"""What auditors are sent as files over HTTP: whole or cut off, on record, and with a manifest."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
import trio
from msgspec import json

from adapters.exports.manifest import Manifest
from adapters.web import audit_export
from core.audit import Accessed
from core.conversation import OpenConversation, UpdateTranscript
from core.messages import Recorded
from eventstore.audit import Entry
from eventstore.memory import MemoryStore
from eventstore.opening import open_sqlite
from eventstore.recorder import TABLE
from tests.adapters.web import test_audit
from tests.adapters.web.test_audit import TALK, Office, opened
from tests.adapters.whole import Whole, serving

EXPORT = "/api/audit/export"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """Over a log with a conversation in it."""
    path = tmp_path / "log.db"
    async with open_sqlite(path) as store, opened(store, f"sqlite:///{path}") as office:
        for command in (OpenConversation(), UpdateTranscript(interim="=1+1"), UpdateTranscript(interim="hay")):
            await office.system.ask(TALK, command, office.system.stamp(principal="bob"))
        yield office


moods, faulty_office = test_audit.moods, test_audit.office
"""Fixtures: how the disk feels, and an office with that disk."""


def told(record: Recorded) -> Accessed:
    assert isinstance(record.event, Accessed)
    return record.event


async def test_a_file_is_sent_and_the_access_is_on_record_before_and_after(office: Office) -> None:
    content = await (await office.get(EXPORT, stream=TALK, format="jsonl")).get_data(as_text=False)
    entries = [json.decode(line, type=Entry) for line in content.splitlines()]
    assert [(entry.position, entry.principal) for entry in entries] == [(1, "bob"), (2, "bob"), (3, "bob")]
    begun, ended = map(told, await office.accesses())
    assert (begun.way, begun.entries, begun.head) == ("export", 0, 3)
    assert begun.question == {"stream": TALK, "format": "jsonl", "compress": False}
    assert (ended.way, ended.entries) == ("exported", 3)
    assert ended.question["file_sha256"] == sha256(content).hexdigest()


async def test_the_answer_names_its_manifest_which_is_told_on_record(office: Office) -> None:
    answer = await office.get(EXPORT, format="csv", event="conversation.interim_heard")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="callboard-3.csv"'
    link = answer.headers["Link"].partition(">")[0].removeprefix("<")
    manifest = json.decode(await (await office.get(link)).get_data(), type=Manifest)
    assert manifest.file.sha256 == sha256(await answer.get_data(as_text=False)).hexdigest()
    assert (manifest.entries.runs, manifest.head.position) == (((2, 3),), 3)
    assert manifest.epoch == office.system.store.epoch
    begun, *_, asked = await office.accesses()
    assert manifest.access == f"{begun.stream}@{begun.version}"
    assert (told(asked).way, told(asked).question) == ("manifest", {"export": manifest.access})


async def test_a_manifest_that_is_not_there_is_no_access(office: Office) -> None:
    assert (await office.ask("/api/audit/exports/audit-2026-11-21@1/manifest"))[0] == 404
    assert await office.accesses() == []


async def test_only_auditors_and_operators_are_sent_anything(office: Office) -> None:
    for path in (EXPORT, "/api/audit/exports/x/manifest"):
        assert (await office.ask(path, role="client"))[0] == 403
    assert (await office.get(EXPORT, role="operator", method="HEAD")).status_code == 200


async def test_nothing_is_sent_that_cannot_be_recorded(faulty_office: Office, moods: list[test_audit.Mood]) -> None:
    moods.append("lost")
    assert (await faulty_office.ask(EXPORT))[0] == 503
    moods.append("well")
    assert await faulty_office.accesses() == []


async def test_what_is_asked_wrongly_or_cannot_be_had_is_said(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (await office.ask(EXPORT, format="xml"))[0] == 422
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    status, body = await office.ask(EXPORT, format="parquet")
    assert (status, body["detail"][0]["loc"]) == (422, ["query", "format"])
    assert "callboard[parquet]" in body["detail"][0]["msg"]
    assert await office.accesses() == []


async def test_a_log_in_memory_has_nothing_to_export() -> None:
    async with opened(MemoryStore(), "memory:") as office:
        assert (await office.ask(EXPORT))[0] == 404


async def test_asking_for_the_head_alone_makes_nothing(office: Office) -> None:
    assert (await office.get(EXPORT, method="HEAD")).status_code == 200
    assert await office.accesses() == []


async def test_of_more_that_are_asked_for_at_the_same_time_than_may_be_made_the_others_are_refused(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses = list[int]()

    async def ask() -> None:
        statuses.append((await office.get(EXPORT)).status_code)

    monkeypatch.setattr(audit_export, "BREATH", 0.0)
    for _ in range(2):  # and those who are done leave room
        async with trio.open_nursery() as nursery:
            for _ in range(audit_export.AT_ONE_TIME + 1):
                nursery.start_soon(ask)
        assert sorted(statuses) == [200] * audit_export.AT_ONE_TIME + [429]
        statuses.clear()


# --- at a whole server ------------------------------------------------------------------------------------------


async def test_an_export_that_fails_is_cut_off_and_its_client_knows(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with serving(CALLBOARD_STORE=f"sqlite:///{path}") as server:
        await server.opened()
        head = (await server.http.get("/api/audit/events/count")).json()["head"]
        with closing(sqlite3.connect(path)) as connection:
            for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute(f"DROP TRIGGER {trigger}")
            connection.execute(f"UPDATE {TABLE} SET principal = x'ff' WHERE rowid = ?", (head,))  # noqa: S608  # our own
            connection.commit()
        with pytest.raises(httpx.RemoteProtocolError):
            await server.http.get(EXPORT, params={"format": "parquet"})
        assert (await server.http.get("/health")).status_code == 200


async def test_exports_beyond_the_limit_are_told_to_come_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_export, "BREATH", 60.0)  # whoever has begun goes on for ever
    written = {"CALLBOARD_STORE": f"sqlite:///{tmp_path / 'log.db'}"}
    async with serving(**written) as server, trio.open_nursery() as nursery:
        for _ in range(audit_export.AT_ONE_TIME):
            await nursery.start(_begin, server)
        refused = await server.http.get(EXPORT)
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "10")
        nursery.cancel_scope.cancel()


async def _begin(server: Whole, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    async with server.http.stream("GET", EXPORT):
        task_status.started()
        await trio.sleep_forever()
