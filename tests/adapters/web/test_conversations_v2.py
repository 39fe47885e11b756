"""Conversations over REST: opening, listing, talking, ending, migrating, and doing each of it once only."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import pytest
import trio

from adapters.migration import NotMigrated, migrate_at
from adapters.web.settings import WebSettings
from core.conversation import Phase
from core.ports import ModelFailure


async def test_opening_with_defaults(server: Any) -> None:
    answer = await server.http.post("/api/v2/conversations")
    body = answer.json()
    assert datetime.fromisoformat(body.pop("created_at")).utcoffset() is not None
    assert body.pop("id") == body.pop("conversation_id")
    assert body == {
        "user_id": None,
        "status": "active",
        "personality": "friendly_neutral",
        "conversation_metadata": {"session_type": "daily", "topic": None, "created_via": "api"},
    }


async def test_opening_with_everything_named(server: Any) -> None:
    asked = {"personality": "strict", "session_type": "exam", "topic": "travel", "user_id": "u1", "more": "ignored"}
    body = (await server.http.post("/api/v2/conversations", json=asked)).json()
    assert (body["personality"], body["user_id"]) == ("strict", "u1")
    assert body["conversation_metadata"] == {"session_type": "exam", "topic": "travel", "created_via": "api"}


async def test_opening_twice_with_one_key_opens_once(server: Any) -> None:
    key = {"Idempotency-Key": "open-1"}
    first = (await server.http.post("/api/v2/conversations", json={"topic": "a"}, headers=key)).json()
    again = (await server.http.post("/api/v2/conversations", json={"topic": "b"}, headers=key)).json()
    assert again == first
    assert (await server.http.get("/api/v2/conversations")).json()["total_count"] == 1


async def test_the_list_can_be_filtered_and_paged(server: Any) -> None:
    mine = [await server.opened(user_id="me") for _ in range(3)]
    await server.opened(user_id="other")
    await server.http.put(f"/api/v2/conversations/{mine[0]}/end")
    body = (await server.http.get("/api/v2/conversations?user_id=me&status=active&limit=1&offset=1")).json()
    assert (body["total_count"], body["limit"], body["offset"]) == (2, 1, 1)
    assert [row["conversation_id"] for row in body["conversations"]] == [mine[1]]
    ended = (await server.http.get("/api/v2/conversations?status=ended")).json()["conversations"]
    assert [(row["id"], row["status"]) for row in ended] == [(mine[0], "ended")]


@pytest.mark.parametrize("query", ["limit=-1", "limit=many", "limit=1001", "offset=-1", "status=unknown"])
async def test_a_list_beyond_its_bounds_is_a_422(server: Any, query: str) -> None:
    answer = await server.http.get(f"/api/v2/conversations?{query}")
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", query.partition("=")[0]]


async def test_one_conversation_is_summed_up(server: Any) -> None:
    id = await server.opened()
    await server.http.post(f"/api/v2/conversations/{id}/messages", json={"content": "Hello."})
    async with server.talk(id) as socket:
        await socket.frames(2)
        body = (await server.http.get(f"/api/v2/conversations/{id}")).json()
    assert datetime.fromisoformat(body.pop("last_activity")).utcoffset() is not None
    assert body == {
        "conversation_id": id,
        "status": "active",
        "current_state": "waiting_for_user",
        "message_count": 2,
        "active_connections": 1,
    }


async def test_a_message_is_answered_and_the_sockets_see_the_legal_path(server: Any) -> None:
    id = await server.opened()
    async with server.talk(id) as socket:
        await socket.frames(2)
        said = {"content": "I would like to order a coffee, please."}
        body = (await server.http.post(f"/api/v2/conversations/{id}/messages", json=said)).json()
        frames = await socket.frames(5)
    states = [frame["payload"]["current_state"] for frame in frames if frame["type"] == "state_update"]
    assert states == ["listening", "processing", "speaking", "waiting_for_user"]
    (response,) = [frame["payload"] for frame in frames if frame["type"] == "ai_response"]
    assert body["ai_response"] == response["content"] == "Hello there."
    assert body["feedback"] == response["feedback"]
    assert (body["success"], body["conversation_state"]) == (True, "waiting_for_user")
    assert body["feedback"]["clarity"] > 0
    assert set(body["vocabulary_analysis"]) == {
        "vocabulary_tier",
        "vocabulary_score",
        "vocabulary_usage",
        "suggestions",
    }


async def test_an_assistants_message_is_shown_and_asks_no_model(start: Any) -> None:
    server = await start((ModelFailure("not to be asked"),))
    id = await server.opened()
    async with server.talk(id) as socket:
        await socket.frames(2)
        said = {"content": "Welcome.", "role": "assistant", "audio_url": "https://example.com/w.mp3"}
        body = (await server.http.post(f"/api/v2/conversations/{id}/messages", json=said)).json()
        shown = await socket.frame()
    assert (shown["type"], shown["payload"]["content"]) == ("ai_response", "Welcome.")
    assert body == {
        "success": True,
        "message_id": shown["payload"]["message_id"],
        "ai_response": None,
        "feedback": None,
        "vocabulary_analysis": None,
        "conversation_state": "idle",
    }


async def test_a_failing_model_is_a_200_with_an_apology_and_state_error(start: Any) -> None:
    server = await start((ModelFailure("overloaded"),), ("All is well again.",))
    id = await server.opened()
    failed = await server.http.post(f"/api/v2/conversations/{id}/messages", json={"content": "Hello."})
    assert failed.status_code == 200
    assert failed.json()["conversation_state"] == "error"
    assert "sorry" in failed.json()["ai_response"]
    again = (await server.http.post(f"/api/v2/conversations/{id}/messages", json={"content": "Hello?"})).json()
    assert (again["ai_response"], again["conversation_state"]) == ("All is well again.", "waiting_for_user")


async def test_a_message_repeated_with_its_key_gets_the_first_answer(start: Any) -> None:
    server = await start(("First.",), ("Second.",))
    id = await server.opened()
    path, key = f"/api/v2/conversations/{id}/messages", {"Idempotency-Key": "m1"}
    first = (await server.http.post(path, json={"content": "Hello."}, headers=key)).json()
    other = (await server.http.post(path, json={"content": "And?"})).json()
    again = (await server.http.post(path, json={"content": "Hello."}, headers=key)).json()
    assert again == first
    assert (first["ai_response"], other["ai_response"]) == ("First.", "Second.")
    assert (await server.http.get(path)).json()["total_messages"] == 4


async def test_a_message_repeated_while_its_answer_is_drafted_waits_for_it(start: Any) -> None:
    server = await start(("Slow ", 0.2, "answer."))
    id = await server.opened()
    answers: list[Any] = []

    async def say() -> None:
        body, key = {"content": "Hello."}, {"Idempotency-Key": "m1"}
        answers.append((await server.http.post(f"/api/v2/conversations/{id}/messages", json=body, headers=key)).json())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(say)
        nursery.start_soon(say)
    assert answers[0] == answers[1]
    assert answers[0]["ai_response"] == "Slow answer."


async def test_a_message_whose_answer_is_interrupted_has_no_answer(start: Any) -> None:
    server = await start(("So far", math.inf))
    id = await server.opened()
    answers: list[Any] = []

    async def say() -> None:
        answers.append(await server.http.post(f"/api/v2/conversations/{id}/messages", json={"content": "Hello."}))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(say)
        await server.until(id, lambda state: state.phase is Phase.SPEAKING)
        await server.http.put(f"/api/v2/conversations/{id}/end")
    body = answers[0].json()
    assert (body["ai_response"], body["conversation_state"]) == (None, "ended")


async def test_an_answer_that_takes_too_long_is_a_503_to_be_asked_again(start: Any) -> None:
    slow = WebSettings(model="scripted", response_timeout=2.0, answer_margin=-1.9)
    server = await start((math.inf,), settings=slow)
    id = await server.opened()
    answer = await server.http.post(f"/api/v2/conversations/{id}/messages", json={"content": "Hello."})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"


async def test_more_messages_than_may_wait_are_a_429(start: Any) -> None:
    server = await start((math.inf,))
    id = await server.opened()
    answers: list[Any] = []

    async def say() -> None:
        body = {"content": "Hello."}
        answers.append(await server.http.post(f"/api/v2/conversations/{id}/messages", json=body, timeout=10))

    async with trio.open_nursery() as nursery:
        for _ in range(16):
            nursery.start_soon(say)
        await server.until(id, lambda state: len(state.replies) == 16)
        refused = await server.http.post(f"/api/v2/conversations/{id}/messages", json={"content": "One more."})
        await server.http.put(f"/api/v2/conversations/{id}/end")
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "1"
    assert [answer.status_code for answer in answers] == [200] * 16


@pytest.mark.parametrize(
    ("body", "field"), [({}, "content"), ({"content": 5}, "content"), ({"content": "x", "role": "system"}, "role")]
)
async def test_a_message_that_cannot_be_read_is_a_422(server: Any, body: Any, field: str) -> None:
    id = await server.opened()
    answer = await server.http.post(f"/api/v2/conversations/{id}/messages", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", field]


async def test_a_key_that_is_too_long_is_a_422(server: Any) -> None:
    answer = await server.http.post("/api/v2/conversations", headers={"Idempotency-Key": "k" * 129})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["header", "Idempotency-Key"]
    assert (await server.http.post("/api/v2/conversations", headers={"Idempotency-Key": "k" * 128})).status_code == 200


async def test_a_key_of_another_kind_of_request_is_a_422(server: Any) -> None:
    id, key = await server.opened(), {"Idempotency-Key": "k"}
    await server.http.post(f"/api/conversations/{id}/transcript", json={"final_transcript": "x"}, headers=key)
    answer = await server.http.post(f"/api/v2/conversations/{id}/messages", json={"content": "x"}, headers=key)
    assert answer.status_code == 422


async def test_messages_of_both_sides_are_listed_oldest_first(start: Any) -> None:
    server = await start(("One.",), ("Two.",))
    id = await server.opened()
    path = f"/api/v2/conversations/{id}/messages"
    for content in ("First?", "Second?"):
        await server.http.post(path, json={"content": content})
    body = (await server.http.get(f"{path}?limit=2&offset=1")).json()
    assert {key: body[key] for key in ("conversation_id", "total_messages", "limit", "offset")} == {
        "conversation_id": id,
        "total_messages": 4,
        "limit": 2,
        "offset": 1,
    }
    assert [(row["role"], row["content"]) for row in body["messages"]] == [("assistant", "One."), ("user", "Second?")]
    assert all(datetime.fromisoformat(row["timestamp"]).utcoffset() is not None for row in body["messages"])


async def test_a_conversation_is_ended_once(server: Any) -> None:
    id = await server.opened()
    body = (await server.http.put(f"/api/v2/conversations/{id}/end")).json()
    assert (body["success"], body["conversation_id"], body["status"]) == (True, id, "ended")
    assert (await server.http.get(f"/api/v2/conversations/{id}")).json()["status"] == "ended"
    assert (await server.http.put(f"/api/v2/conversations/{id}/end")).status_code == 409


async def test_ending_again_with_the_same_key_is_the_first_ending(server: Any) -> None:
    id, key = await server.opened(), {"Idempotency-Key": "end"}
    for _ in range(2):
        assert (await server.http.put(f"/api/v2/conversations/{id}/end", headers=key)).status_code == 200


async def test_a_legacy_conversation_is_unknown_here_until_it_is_migrated(server: Any) -> None:
    legacy = (await server.http.post("/api/conversation", json={"message": "Hello."})).json()["session_id"]
    assert (await server.http.get(f"/api/v2/conversations/{legacy}")).status_code == 404
    assert (await server.http.get("/api/v2/conversations")).json()["total_count"] == 0
    moved = await server.http.post("/api/v2/conversations/migrate", json={"session_id": legacy})
    assert moved.json() == {"conversation_id": legacy}
    messages = (await server.http.get(f"/api/v2/conversations/{legacy}/messages")).json()["messages"]
    assert [row["content"] for row in messages] == ["Hello.", "Hello there."]
    async with server.talk(legacy) as socket:
        assert (await socket.frame())["payload"]["current_state"] == "waiting_for_user"


async def test_only_a_legacy_conversation_can_be_migrated(server: Any) -> None:
    for id in (await server.opened(), "no-uuid", server.system.identifiers.new()):
        answer = await server.http.post("/api/v2/conversations/migrate", json={"session_id": id})
        assert (answer.status_code, answer.json()) == (404, {"detail": "Conversation not found"})
    answer = await server.http.post("/api/v2/conversations/migrate", json={})
    assert answer.status_code == 422


async def test_migrating_again_changes_nothing(server: Any) -> None:
    legacy = (await server.http.post("/api/conversation", json={"message": "Hello."})).json()["session_id"]
    key = {"Idempotency-Key": "move"}
    for _ in range(2):
        moved = await server.http.post("/api/v2/conversations/migrate", json={"session_id": legacy}, headers=key)
        assert moved.status_code == 200
    assert (await server.http.post("/api/v2/conversations/migrate", json={"session_id": legacy})).status_code == 409


async def test_the_legacy_route_answers_with_feedback_and_goes_on_in_its_session(start: Any) -> None:
    server = await start(("Nice.",), ("Indeed.",))
    asked = {"message": "I enjoy a journey by train.", "target_vocabulary": ["journey", "ticket"]}
    body = (await server.http.post("/api/conversation", json=asked)).json()
    assert (body["response"], body["success"]) == ("Nice.", True)
    assert set(body["feedback"]) == {
        "clarity",
        "fluency",
        "vocabularyTier",
        "vocabularyScore",
        "vocabularyUsage",
        "suggestions",
        "overallRating",
    }
    assert body["feedback"]["vocabularyUsage"] == ["journey"]
    assert body["vocabulary_tier"] == body["feedback"]["vocabularyTier"]
    assert body["usage_analysis"]["unused_words"] == ["ticket"]
    more = (
        await server.http.post("/api/conversation", json={"message": "And?", "session_id": body["session_id"]})
    ).json()
    assert (more["response"], more["session_id"]) == ("Indeed.", body["session_id"])


async def test_the_legacy_route_repeats_itself_for_a_repeated_key(start: Any) -> None:
    server = await start(("One.",), ("Two.",))
    key = {"Idempotency-Key": "legacy-1"}
    first = (await server.http.post("/api/conversation", json={"message": "Hello."}, headers=key)).json()
    assert (await server.http.post("/api/conversation", json={"message": "Hello."}, headers=key)).json() == first


async def test_a_legacy_session_nobody_began_is_not_found(server: Any) -> None:
    for id in (await server.opened(), "no-uuid"):
        answer = await server.http.post("/api/conversation", json={"message": "x", "session_id": id})
        assert answer.status_code == 404
    assert (await server.http.post("/api/conversation", json={})).status_code == 422


async def test_the_migration_utility_moves_a_legacy_conversation(start: Any) -> None:
    server = await start(["Hello."])
    legacy = (await server.http.post("/api/conversation", json={"message": "Hi."})).json()["session_id"]
    assert await trio.to_thread.run_sync(migrate_at, server.url, legacy) == legacy
    assert (await server.http.get(f"/api/v2/conversations/{legacy}")).status_code == 200
    with pytest.raises(NotMigrated, match="not found"):
        await trio.to_thread.run_sync(migrate_at, server.url, "9b1de7f0-0000-7000-8000-000000000000")
