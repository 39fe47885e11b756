"""What auditors are told over HTTP, and that it is on record before they are told."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jwt
import msgspec
import pytest
import trio
from quart import Response
from quart import typing as quart_typing

from actors.effects import Perform
from actors.system import System, open_system
from adapters.auditing import stream_at
from adapters.bootstrap import assemble
from adapters.clock import SystemClock, TimeOrderedIdentifiers
from adapters.config import from_environment
from adapters.gateways.blobs import MemoryBlobs
from adapters.gateways.offline_partner import OfflinePartner
from adapters.opening import DECIDERS
from adapters.web.auth import ALGORITHM
from core.audit import Accessed
from core.conversation import OpenConversation, UpdateTranscript
from core.identifiers import Category, StreamName
from core.messages import Recorded
from core.ports import EventStore
from eventstore.audit import AuditLog, Filters
from eventstore.memory import MemoryStore
from eventstore.opening import open_sqlite
from tests.adapters.web.event_source import EventSource
from tests.adapters.whole import serving
from tests.eventstore.disks import Disk, commits
from tests.eventstore.logs import say

SECRET = "a secret for tests that is long enough for HS256"  # of tests
TALK = StreamName.of(Category.CONVERSATION, "talk")
EVENTS = "/api/audit/events"


@dataclass
class Office:
    """Where an auditor asks."""

    http: quart_typing.TestClientProtocol
    system: System

    async def ask(self, path: str = EVENTS, who: str = "ada", role: str = "auditor", **query: Any) -> tuple[int, Any]:
        """Status and body of the answer."""
        answer = await self.get(path, who, role, **query)
        return answer.status_code, await answer.get_json()

    async def get(
        self, path: str, who: str = "ada", role: str = "auditor", *, method: str = "GET", **query: Any
    ) -> Response:
        """The answer."""
        token = jwt.encode({"sub": who, "roles": [role]}, SECRET, ALGORITHM)
        headers = {"Authorization": f"Bearer {token}", "Host": "127.0.0.1", "X-Request-ID": "request-7"}
        ask = self.http.head if method == "HEAD" else self.http.get
        answer = await ask(path, headers=headers, query_string=query)
        assert isinstance(answer, Response)
        return answer

    async def told(self, path: str = EVENTS, **query: Any) -> Any:
        status, body = await self.ask(path, **query)
        assert status == 200, body
        return body

    async def accesses(self) -> list[Recorded]:
        """What is on record of this day."""
        return await self.system.store.read_stream(stream_at(self.system.clock.now()))


Mood = Literal["well", "lost"]


@pytest.fixture
def moods() -> list[Mood]:
    """How the disk is, last."""
    return ["well"]


@pytest.fixture
async def office(tmp_path: Path, moods: list[Mood]) -> AsyncIterator[Office]:
    """Over a log with a conversation in it: two things heard and one refused."""
    path, disk = tmp_path / "log.db", Disk()
    disk.fault = commits(lambda: moods[-1])
    async with open_sqlite(path, connect=disk.connect) as store, opened(store, f"sqlite:///{path}") as office:
        commands = OpenConversation(), heard("a needle"), heard("some hay"), OpenConversation()
        for number, command in enumerate(commands):
            await office.system.ask(TALK, command, office.system.stamp(principal="bob", command_id=f"c-{number}"))
        yield office


def heard(text: str) -> UpdateTranscript:
    return UpdateTranscript(interim=text)


@asynccontextmanager
async def opened(
    store: EventStore, address: str, blobs: MemoryBlobs | None = None, performers: Mapping[type, Perform] | None = None
) -> AsyncIterator[Office]:
    written = {"CALLBOARD_STORE": address, "CALLBOARD_AUTH": "jwt", "CALLBOARD_JWT_SECRET": SECRET}
    clock, identifiers = SystemClock(), TimeOrderedIdentifiers()
    async with open_system(
        store, deciders=DECIDERS, performers=performers or {}, clock=clock, identifiers=identifiers
    ) as system:
        app = assemble(from_environment(written, {}), system, OfflinePartner(), blobs or MemoryBlobs())
        yield Office(app.test_client(), system)


async def test_events_are_told_with_all_the_log_says_of_them(office: Office) -> None:
    page = await office.told(event="conversation.interim_heard", limit=1)
    (entry,) = page["entries"]
    assert (entry["position"], entry["stream"], entry["version"]) == (2, TALK, 2)
    assert (entry["event"], entry["payload"]["text"]) == ("conversation.interim_heard/1", "a needle")
    assert entry["command"]["body"]["interim"] == "a needle"
    assert (entry["principal"], entry["command_id"], page["head"]) == ("bob", "c-1", 4)
    assert len(entry["hash"]) == 64


async def test_pages_follow_one_another_and_nobody_s_access_disturbs_them(office: Office) -> None:
    first = await office.told(limit=3, newest_first=True)
    second = await office.told(limit=3, newest_first=True, cursor=first["next_cursor"])
    assert [entry["position"] for entry in first["entries"] + second["entries"]] == [4, 3, 2, 1]
    assert second["next_cursor"] is None


async def test_each_filter_of_the_query_is_heeded(office: Office) -> None:
    (refusal,) = (await office.told(rejected=True))["entries"]
    assert refusal["payload"]["code"] == "conversation_exists"
    queries = (
        {"stream": TALK},
        {"category": "conversation"},
        {"principal": "bob"},
        {"since": "2020-01-01", "category": "conversation"},
        {"until": "2999-01-01T00:00:00+02:00", "principal": "bob"},
        {"since": 0, "stream": TALK},
    )
    for query in queries:
        assert len((await office.told(**query))["entries"]) == 4, query
    one = (
        {"text": "needle"},
        {"command_id": "c-2"},
        {"correlation_id": refusal["correlation_id"]},
        {"event": "conversation.opened/1"},
    )
    for query in one:
        assert len((await office.told(**query))["entries"]) == 1, query
    none = {"origin": "x"}, {"causation_id": "x@1"}, {"until": "2020-01-01"}, {"rejected": False, "text": "vain"}
    for query in none:
        assert (await office.told(**query))["entries"] == [], query


async def test_what_is_asked_wrongly_is_said_field_by_field(office: Office) -> None:
    wrong = {
        "since": "yesterday",
        "limit": "0",
        "category": "nothing",
        "cursor": "?",
        "rejected": "perhaps",
        "text": "-",
    }
    for field, value in wrong.items():
        status, body = await office.ask(**{field: value})
        assert (status, body["detail"][0]["loc"]) == (422, ["query", field])
    assert (await office.ask(text="s* " * 17))[1]["detail"][0]["loc"] == ["query", "text"]
    cursor = (await office.told(limit=1))["next_cursor"]
    assert (await office.ask(cursor=cursor, rejected=True))[0] == 422


async def test_events_are_counted(office: Office) -> None:
    assert await office.told(f"{EVENTS}/count", principal="bob") == {"count": 4, "complete": True, "head": 4}
    counted = await office.told(f"{EVENTS}/count", at_most=2)
    assert (counted["count"], counted["complete"]) == (2, False)


async def test_one_event_is_told_by_its_id(office: Office) -> None:
    assert (await office.told(f"{EVENTS}/{TALK}@3"))["payload"]["text"] == "some hay"
    for nothing in (f"{TALK}@5", f"{TALK}@0", TALK, "conversation-x@1", f"{TALK}@{'9' * 30}", f"{TALK}@-1"):
        assert (await office.ask(f"{EVENTS}/{nothing}"))[0] == 404


async def test_every_access_is_on_record_with_who_asked_for_what_and_how_much_there_was(office: Office) -> None:
    await office.told(principal="bob", limit=3)
    await office.told(f"{EVENTS}/count", rejected=True)
    await office.told(f"{EVENTS}/{TALK}@3")
    assert (await office.ask(f"{EVENTS}/{TALK}@99"))[0] == 404
    records = await office.accesses()
    assert [record.event for record in records] == [
        Accessed("search", {"principal": "bob"}, 3, 4),
        Accessed("count", {"rejected": True}, 1, 5),
        Accessed("event", {"stream": TALK, "version": 3}, 1, 6),
        Accessed("event", {"stream": TALK, "version": 99}, 0, 7),
    ]
    assert {(record.stamp.principal, record.stamp.correlation_id) for record in records} == {("ada", "request-7")}
    assert len((await office.told(category="audit"))["entries"]) == 4


async def test_words_that_were_searched_for_are_not_written_down(office: Office) -> None:
    await office.told(text="a secret of bob's")
    (record,) = await office.accesses()
    digest = hashlib.sha256(b"a secret of bob's").hexdigest()
    assert record.event == Accessed("search", {"text_sha256": digest}, 0, 4)


async def test_nobody_is_told_what_cannot_be_recorded(office: Office, moods: list[Mood]) -> None:
    moods.append("lost")
    for path in (EVENTS, f"{EVENTS}/count", f"{EVENTS}/{TALK}@1"):
        status, body = await office.ask(path)
        assert (status, list(body)) == (503, ["detail"])
    moods.append("well")
    assert (await office.told())["entries"]


async def test_what_would_take_too_long_is_said_to_be_too_broad(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventstore.audit.STEPS", 10)
    monkeypatch.setattr("eventstore.audit.SECONDS", 0.0)
    for path in (EVENTS, f"{EVENTS}/count"):
        status, body = await office.ask(path, principal="bob")
        assert (status, body["detail"][0]["msg"][:10]) == (422, "too broad:")


async def test_clients_are_told_nothing(office: Office) -> None:
    for path in (EVENTS, f"{EVENTS}/count", f"{EVENTS}/{TALK}@1"):
        assert (await office.ask(path, role="client"))[0] == 403
        assert (await office.ask(path, role="operator"))[0] == 200
    assert (await office.http.get(EVENTS, headers={"Host": "127.0.0.1"})).status_code == 401


async def test_a_log_in_memory_has_nothing_for_auditors() -> None:
    async with opened(MemoryStore(), "memory:") as office:
        assert (await office.ask())[0] == 404


@pytest.mark.parametrize("path", ["/api/log/stream", f"/api/log/streams/{TALK}"])
async def test_who_follows_the_log_is_on_record_once_with_where_it_began(tmp_path: Path, path: str) -> None:
    async with open_sqlite(tmp_path / "log.db") as store:
        await say(store, TALK, "one", "two")
    async with serving(CALLBOARD_STORE=f"sqlite:///{tmp_path / 'log.db'}") as whole:
        for query in ("after=1&event=conversation.&event=call.", "", "after=99"):
            with trio.fail_after(5):
                async with EventSource(whole.urls[0], f"{path}?{query}").connected() as messages:
                    assert (await anext(messages)).event == "hello"
        of = {"stream": TALK} if "streams" in path else {}
        # not a page, which may be empty on a busy machine
        walk = AuditLog(tmp_path / "log.db").walk(Filters(event="audit.accessed"))
        told = [msgspec.json.decode(entry.payload) async for batch in walk for entry in batch]
    assert [(access["way"], access["question"]) for access in told] == [
        ("follow", {**of, "event": "conversation.,call.", "after": 1}),
        ("follow", {**of, "after": 2 if of else 3}),
        ("follow", {**of, "after": 2 if of else 4}),
    ]
