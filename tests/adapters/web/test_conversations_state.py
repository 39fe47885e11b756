"""State, transcript and answers of a conversation over REST."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

ABSENT = "00000000-0000-4000-8000-000000000000"


async def test_the_state_has_every_field_of_the_contract(server: Any) -> None:
    id = await server.opened()
    answer = await server.http.get(f"/api/conversations/{id}/state")
    body = answer.json()
    assert datetime.fromisoformat(body.pop("timestamp")).utcoffset() is not None
    assert body == {
        "conversation_id": id,
        "current_state": "idle",
        "speech_recognition_active": False,
        "speech_synthesis_active": False,
        "transcript": {"final_transcript": "", "interim_transcript": None},
        "active_connections": 0,
    }


async def test_a_requested_state_is_entered_and_shown_to_sockets_with_its_metadata(server: Any) -> None:
    id = await server.opened()
    async with server.talk(id) as socket:
        await socket.frames(2)
        body = {"state": "listening", "metadata": {"reason": "button"}}
        answer = (await server.http.post(f"/api/conversations/{id}/state", json=body)).json()
        shown = (await socket.frame())["payload"]
    assert {key: answer[key] for key in ("success", "conversation_id", "new_state")} == {
        "success": True,
        "conversation_id": id,
        "new_state": "listening",
    }
    assert (shown["current_state"], shown["speech_recognition_active"], shown["reason"]) == (
        "listening",
        True,
        "button",
    )


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "State is required"),
        ({"state": ""}, "State is required"),
        ({"state": None}, "State is required"),
        ({"state": "dancing"}, "Invalid state: dancing"),
        ({"state": "LISTENING"}, "Invalid state: LISTENING"),
        ({"state": 5}, "Invalid state: 5"),
        ({"state": ["idle"]}, "Invalid state: ['idle']"),
    ],
)
async def test_a_missing_or_unknown_state_is_a_400(server: Any, body: Any, detail: str) -> None:
    id = await server.opened()
    answer = await server.http.post(f"/api/conversations/{id}/state", json=body)
    assert (answer.status_code, answer.json()) == (400, {"detail": detail})


async def test_an_illegal_transition_is_a_409_and_changes_nothing(server: Any) -> None:
    id = await server.opened()
    answer = await server.http.post(f"/api/conversations/{id}/state", json={"state": "speaking"})
    assert answer.status_code == 409
    assert "speaking" in answer.json()["detail"]
    assert (await server.http.get(f"/api/conversations/{id}/state")).json()["current_state"] == "idle"


@pytest.mark.parametrize("metadata", ["text", [1]])
async def test_metadata_must_be_an_object(server: Any, metadata: Any) -> None:
    id = await server.opened()
    answer = await server.http.post(f"/api/conversations/{id}/state", json={"state": "listening", "metadata": metadata})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "metadata"]


async def test_connections_are_counted(server: Any) -> None:
    id = await server.opened()
    async with server.talk(id) as one, server.talk(id) as other:
        await one.frames(3)
        await other.frames(2)
        body = (await server.http.get(f"/api/conversations/{id}/connections")).json()
    assert (body["conversation_id"], body["active_connections"]) == (id, 2)
    assert datetime.fromisoformat(body["timestamp"]).utcoffset() is not None


async def test_a_transcript_is_accumulated_and_broadcast(server: Any) -> None:
    id = await server.opened()
    async with server.talk(id) as socket:
        await socket.frames(2)
        for body in ({"final_transcript": "hello"}, {"interim_transcript": "wor", "confidence": 0.5}):
            answer = await server.http.post(f"/api/conversations/{id}/transcript", json=body)
            assert answer.json() == {"success": True, "conversation_id": id, "timestamp": answer.json()["timestamp"]}
        shown = [frame["payload"] for frame in await socket.frames(2)]
    assert shown[1] == {"interim_transcript": "wor", "accumulated_transcript": "hello", "confidence": 0.5}
    state = (await server.http.get(f"/api/conversations/{id}/state")).json()
    assert state["transcript"] == {"final_transcript": "hello", "interim_transcript": "wor"}


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"confidence": 1.5}, ["confidence"]),
        ({"final_transcript": 5, "confidence": "high"}, ["final_transcript", "confidence"]),
    ],
)
async def test_every_field_of_a_transcript_at_fault_is_named(server: Any, body: Any, fields: list[str]) -> None:
    id = await server.opened()
    answer = await server.http.post(f"/api/conversations/{id}/transcript", json=body)
    assert answer.status_code == 422
    assert [fault["loc"] for fault in answer.json()["detail"]] == [["body", field] for field in fields]


async def test_an_answer_from_outside_reaches_the_sockets(server: Any) -> None:
    id = await server.opened()
    body = {"content": "Hi!", "audio_url": "https://example.com/a.mp3", "feedback": {"clarity": 85}}
    async with server.talk(id) as socket:
        await socket.frames(2)
        answer = await server.http.post(f"/api/conversations/{id}/ai-response", json=body)
        shown = (await socket.frame())["payload"]
    assert answer.json() == {"success": True, "conversation_id": id, "timestamp": answer.json()["timestamp"]}
    assert {key: shown[key] for key in body} == body


async def test_an_answer_without_content_is_a_422(server: Any) -> None:
    id = await server.opened()
    answer = await server.http.post(f"/api/conversations/{id}/ai-response", json={})
    assert (answer.status_code, answer.json()["detail"]) == (
        422,
        [{"loc": ["body", "content"], "msg": "Field required"}],
    )


async def test_a_text_that_is_too_long_is_a_422(server: Any) -> None:
    id = await server.opened()
    answer = await server.http.post(f"/api/conversations/{id}/ai-response", json={"content": "x" * 100_001})
    assert answer.status_code == 422


async def test_a_bottomless_value_is_a_422(server: Any) -> None:
    id = await server.opened()
    deep: Any = {}
    for _ in range(60):
        deep = {"deeper": deep}
    answer = await server.http.post(f"/api/conversations/{id}/ai-response", json={"content": "x", "feedback": deep})
    assert answer.status_code == 422


UNREADABLE = (b"{no json", b"[1]", b'"text"', b"\xff", b"[" * 100_000, b'{"state": NaN}', b'{"state": "\\ud800"}')
ROUTES = [
    ("GET", "/api/conversations/{}/state", None),
    ("POST", "/api/conversations/{}/state", {"state": "listening"}),
    ("GET", "/api/conversations/{}/connections", None),
    ("POST", "/api/conversations/{}/transcript", {"final_transcript": "x"}),
    ("POST", "/api/conversations/{}/ai-response", {"content": "x"}),
    ("GET", "/api/v2/conversations/{}", None),
    ("POST", "/api/v2/conversations/{}/messages", {"content": "x"}),
    ("GET", "/api/v2/conversations/{}/messages", None),
    ("PUT", "/api/v2/conversations/{}/end", None),
    ("POST", "/api/test/conversations/{}/message", {"content": "x"}),
    ("POST", "/api/test/conversations/{}/speech", {"text": "x"}),
    ("GET", "/api/test/conversations/{}/state-transitions", None),
    ("GET", "/api/test/conversations/{}/stress-test", None),
    ("DELETE", "/api/test/conversations/{}", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
async def test_what_is_no_conversation_is_not_found(server: Any, method: str, path: str, body: Any) -> None:
    for id in (ABSENT, "not-a-uuid", "x" * 300):
        answer = await server.http.request(method, path.format(id), json=body)
        assert (answer.status_code, answer.json()) == (404, {"detail": "Conversation not found"})
    assert server.system.store.head == 0


@pytest.mark.parametrize(("method", "path", "body"), [route for route in ROUTES if route[0] != "GET"])
async def test_commands_to_an_ended_conversation_are_a_409(server: Any, method: str, path: str, body: Any) -> None:
    id = await server.opened()
    await server.http.put(f"/api/v2/conversations/{id}/end")
    answer = await server.http.request(method, path.format(id), json=body)
    assert (answer.status_code, answer.json()) == (409, {"detail": "The conversation has ended"})


@pytest.mark.parametrize(("method", "path", "body"), [route for route in ROUTES if route[0] != "GET" and route[2]])
async def test_a_body_that_is_no_json_object_is_a_422(server: Any, method: str, path: str, body: Any) -> None:
    id = await server.opened()
    for content in (
        b"{no json",
        b"[1]",
        b'"text"',
        b"\xff",
        b"[" * 100_000,
        b'{"state": NaN}',
        b'{"state": "\\ud800"}',
    ):
        answer = await server.http.request(method, path.format(id), content=content)
        assert answer.status_code == 422
        assert answer.json()["detail"][0]["loc"] == ["body"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/api/v2/conversations/{id}/end", None),
        ("DELETE", "/api/test/conversations/{id}", None),
        ("POST", "/api/conversations/{id}/transcript", {"final_transcript": "lost words"}),
        ("POST", "/api/conversations/{id}/ai-response", {"content": "words"}),
        ("POST", "/api/v2/conversations/{id}/messages", {"content": "words"}),
    ],
)
async def test_a_key_of_another_kind_of_request_is_no_success(start: Any, method: str, path: str, body: Any) -> None:
    server = await start()
    id = await server.opened()
    key = {"idempotency-key": "k"}
    await server.http.post(f"/api/conversations/{id}/state", json={"state": "listening"}, headers=key)
    answer = await server.http.request(method, path.format(id=id), json=body, headers=key)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["header", "Idempotency-Key"]
    assert (await server.http.get(f"/api/conversations/{id}/state")).json()["current_state"] == "listening"


async def test_a_repeated_request_answers_with_its_first_outcome(start: Any) -> None:
    server = await start()
    id = await server.opened()
    path, key = f"/api/conversations/{id}/state", {"idempotency-key": "k"}
    await server.http.post(path, json={"state": "listening"}, headers=key)
    again = await server.http.post(path, json={"state": "idle"}, headers=key)
    assert (again.status_code, again.json()["new_state"]) == (200, "listening")


@pytest.mark.parametrize("metadata", [[], "", 0, False, [1]])
async def test_metadata_that_is_no_object_is_refused(start: Any, metadata: Any) -> None:
    server = await start()
    id = await server.opened()
    path = f"/api/conversations/{id}/state"
    answer = await server.http.post(path, json={"state": "listening", "metadata": metadata})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "metadata"]
