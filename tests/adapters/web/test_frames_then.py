"""What a stream's clients were sent of an event, as auditors are told it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import trio

from adapters.reels import MOST_PLAYED
from core.audit import Accessed
from core.conversation import MAX_TEXT, JoinClient, OpenConversation
from core.messages import Stamp
from eventstore.memory import MemoryStore
from eventstore.opening import open_sqlite
from tests.adapters.web.test_audit import TALK, Office, heard, opened
from tests.adapters.web.test_outlines import NAMES
from tests.adapters.whole import PATIENCE, Whole, serving

FRAMES = f"/api/audit/streams/{TALK}/frames"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """Over a log with a conversation one device listened to, and was refused something in."""
    path = tmp_path / "log.db"
    async with open_sqlite(path) as store, opened(store, f"sqlite:///{path}") as office:
        for command in OpenConversation(), JoinClient("b.1"), heard("<b>hay</b>"), heard("x" * (MAX_TEXT + 1)):
            await office.system.ask(TALK, command, Stamp("c", office.system.clock.now(), origin="b.1"))
        yield office


async def test_frames_are_told_by_dialect_and_that_is_on_record(office: Office) -> None:
    told = await office.told(FRAMES, at=3)
    assert (told["stream"], told["at"]) == (TALK, 3)
    (conversations,) = told["dialects"]
    assert conversations["dialect"] == "conversations"
    (frame,) = conversations["frames"]
    assert (frame["to"], set(frame)) == ("everyone", {"to", "text"})
    assert '"interim_transcript":"<b>hay</b>"' in frame["text"]
    (access,) = await office.accesses()
    assert access.event == Accessed("frames", {"stream": TALK, "version": 3}, 1, 4)


async def test_what_one_alone_was_told_says_so(office: Office) -> None:
    (conversations,) = (await office.told(FRAMES, at=2))["dialects"]
    assert [frame["to"] for frame in conversations["frames"]] == ["origin", "everyone"]
    (refused,) = (await office.told(FRAMES, at=4))["dialects"]
    assert [frame["to"] for frame in refused["frames"]] == ["origin"]
    assert '"type":"error"' in refused["frames"][0]["text"]


@pytest.mark.parametrize("at", ["0", "-1", "x", "1.5", "", str(MOST_PLAYED + 1), "9" * 30])
async def test_what_is_no_version_is_said(office: Office, at: str) -> None:
    status, body = await office.ask(FRAMES, at=at)
    assert (status, body["detail"][0]["loc"]) == (422, ["query", "at"])
    assert (await office.ask(FRAMES))[0] == 422
    assert await office.accesses() == []


async def test_an_event_that_is_not_there_is_not_found_on_record(office: Office) -> None:
    assert (await office.ask(FRAMES, at=5))[0] == 404
    (access,) = await office.accesses()
    assert access.event == Accessed("frames", {"stream": TALK, "version": 5}, 0, 4)


@pytest.mark.parametrize("name", NAMES)
async def test_what_is_no_stream_is_not_found(name: str) -> None:
    async with opened(MemoryStore(), "memory:") as office:
        status, body = await office.ask(f"/api/audit/streams/{quote(name, safe='')}/frames", at=1)
    assert status == 404
    assert set(body) == {"detail"}


async def test_only_auditors_and_operators_are_told(office: Office) -> None:
    assert (await office.ask(FRAMES, role="client", at=1))[0] == 403
    assert (await office.ask(FRAMES, role="operator", at=1))[0] == 200


async def test_what_was_forgotten_is_in_no_frame_any_more(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("c3" * 32)
    written = {
        "CALLBOARD_STORE": f"sqlite:///{tmp_path}/log.db",
        "CALLBOARD_ENCRYPTION_KEY": str(tmp_path / "key"),
    }
    async with serving(**written) as server:
        opened = await server.http.post("/api/v2/conversations", json={"user_id": "ann"})
        id = opened.json()["id"]
        said = {"final_transcript": "my secret"}
        await server.http.post(f"/api/conversations/{id}/transcript", json=said)
        assert "my secret" in await frames_of(server, id)
        forgotten = await server.http.post("/api/audit/subjects/ann/forget")
        assert forgotten.json()["keys"] == 1
        told = await frames_of(server, id)
    assert "my secret" not in told
    assert "[erased]" in told


async def frames_of(server: Whole, id: str) -> str:
    """All frames of a conversation of two events."""
    told = [await frames_at(server, id, at) for at in (1, 2)]
    assert all(answer.status_code == httpx.codes.OK for answer in told)
    return "".join(answer.text for answer in told)


async def frames_at(server: Whole, id: str, at: int) -> Any:
    with trio.fail_after(PATIENCE):
        return await server.http.get(f"/api/audit/streams/conversation-{id}/frames", params={"at": at})
