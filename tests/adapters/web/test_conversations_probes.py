"""The routes for trying things out."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.web.settings import WebSettings
from core.conversation import TRANSITIONS, Phase
from core.messages import Recorded
from core.ports import ModelFailure, StoreUnavailable
from eventstore.memory import MemoryStore


async def test_a_conversation_to_test_with_names_all_its_addresses(server: Any) -> None:
    body = (await server.http.post("/api/test/conversations", json={"personality": "strict"})).json()
    conversation, endpoints = body["conversation"], body["test_endpoints"]
    id = conversation["conversation_id"]
    assert body["success"] is True
    assert (conversation["personality"], conversation["status"]) == ("strict", "ready")
    assert conversation["welcome_message"]
    assert conversation["websocket_url"] == f"/api/ws/conversations/{id}"
    assert endpoints == {
        "websocket": server.url.replace("http", "ws") + f"/api/ws/conversations/{id}",
        "state": f"/api/conversations/{id}/state",
        "send_message": f"/api/test/conversations/{id}/message",
        "simulate_speech": f"/api/test/conversations/{id}/speech",
    }
    assert body["instructions"]
    listed = (await server.http.get("/api/v2/conversations")).json()["conversations"]
    assert listed[0]["conversation_metadata"] == {
        "session_type": "test",
        "topic": "testing",
        "created_via": "test",
    }
    async with server.talk(id) as socket:
        assert (await socket.frame())["type"] == "state_update"


async def test_a_test_message_tells_what_the_sockets_were_sent(server: Any) -> None:
    id = await server.opened()
    async with server.talk(id) as socket:
        await socket.frames(2)
        asked = {"content": "Hello.", "simulate_processing_delay": True, "delay_seconds": 0.05}
        body = (await server.http.post(f"/api/test/conversations/{id}/message", json=asked)).json()
        heard = [frame["type"] for frame in await socket.frames(5)]
    assert sorted(body["websocket_updates"]) == sorted(heard)
    assert body.pop("processing_time_ms") >= 50
    assert body.pop("feedback")["fluency"] > 0
    assert sorted(body.pop("websocket_updates")) == ["ai_response", *["state_update"] * 4]
    assert body == {
        "success": True,
        "message_processed": True,
        "conversation_id": id,
        "user_message": "Hello.",
        "ai_response": "Hello there.",
        "current_state": "waiting_for_user",
        "transcript": {"final_transcript": "", "interim_transcript": None},
    }


@pytest.mark.parametrize("body", [{}, {"content": "x", "delay_seconds": 31}, {"content": "x", "delay_seconds": -1}])
async def test_a_test_message_beyond_its_bounds_is_a_422(server: Any, body: Any) -> None:
    id = await server.opened()
    assert (await server.http.post(f"/api/test/conversations/{id}/message", json=body)).status_code == 422


async def test_simulated_speech_grows_word_by_word_and_ends_in_a_final(server: Any) -> None:
    id = await server.opened()
    async with server.talk(id) as socket:
        await socket.frames(2)
        body = (await server.http.post(f"/api/test/conversations/{id}/speech", json={"text": "so it goes"})).json()
        state, *heard = await socket.frames(5)
    assert state["payload"]["current_state"] == "listening"
    interims = [frame["payload"]["interim_transcript"] for frame in heard]
    assert interims == ["so", "so it", "so it goes", None]
    confidences = [frame["payload"]["confidence"] for frame in heard]
    assert confidences == sorted(confidences)
    assert confidences[-1] == 0.95
    assert [step["step"] for step in body["simulation_steps"]] == [1, 2, 3, "final"]
    assert [step.get("interim_text") for step in body["simulation_steps"]] == interims
    assert [step["is_final"] for step in body["simulation_steps"]] == [False, False, False, True]
    assert body["simulation_steps"][-1]["final_text"] == "so it goes"
    assert body["final_result"]["accumulated_transcript"] == "so it goes"
    assert body["websocket_updates"] == ["state_update", *["transcript_update"] * 4]


async def test_speech_can_be_a_final_alone_or_interims_alone(server: Any) -> None:
    id = await server.opened()
    path = f"/api/test/conversations/{id}/speech"
    alone = (await server.http.post(path, json={"text": "hello", "simulate_interim_steps": False})).json()
    assert [step["step"] for step in alone["simulation_steps"]] == ["final"]
    open_ended = (await server.http.post(path, json={"text": "a b", "is_final": False})).json()
    assert [step["step"] for step in open_ended["simulation_steps"]] == [1, 2]
    assert open_ended["final_result"]["is_final"] is False
    state = (await server.http.get(f"/api/conversations/{id}/state")).json()
    assert state["transcript"] == {"final_transcript": "hello", "interim_transcript": "a b"}


async def test_speech_repeated_with_its_key_is_heard_once(server: Any) -> None:
    id, key = await server.opened(), {"Idempotency-Key": "speech"}
    for _ in range(2):
        answer = await server.http.post(f"/api/test/conversations/{id}/speech", json={"text": "once"}, headers=key)
        assert answer.status_code == 200
    state = (await server.http.get(f"/api/conversations/{id}/state")).json()
    assert state["transcript"]["final_transcript"] == "once"


async def test_all_pairs_of_states_are_tested_and_the_conversation_is_left_alone(server: Any) -> None:
    id = await server.opened()
    head = server.system.store.head
    body = (await server.http.get(f"/api/test/conversations/{id}/state-transitions")).json()
    assert (body["success"], body["initial_state"], body["final_state"]) == (True, "idle", "idle")
    tested = {(pair["from"], pair["to"]): pair for pair in body["transitions_tested"]}
    assert len(tested) == len(body["transitions_tested"]) == 49
    for start in Phase:
        for end in Phase:
            pair = tested[start.value, end.value]
            assert pair["valid"] is pair["success"] is (end in TRANSITIONS[start])
            assert ("error" in pair) is not pair["success"]
    assert server.system.store.head == head


async def test_a_stress_test_really_opens_its_connections(server: Any) -> None:
    id = await server.opened()
    path = f"/api/test/conversations/{id}/stress-test?message_count=4&concurrent_connections=5"
    body = (await server.http.get(path)).json()
    assert body["success"] is True
    assert body["test_parameters"] == {"message_count": 4, "concurrent_connections": 5}
    assert body["results"].pop("total_time_seconds") > 0
    assert body["results"].pop("total_processing_time_ms") >= body["results"].pop("average_processing_time_ms") > 0
    assert body["results"] == {"successful_messages": 4, "failed_messages": 0, "success_rate": 1.0}
    assert body["final_state"] == {"conversation_state": "waiting_for_user", "active_connections": 5}
    assert [detail["reached"] for detail in body["message_details"]] == [5] * 4
    await server.until(id, lambda state: not state.clients)
    records = await server.system.store.read_stream(f"conversation-{id}")
    assert sum(type(record.event).__name__ == "ClientJoined" for record in records) == 5


async def test_a_stress_test_counts_what_failed(start: Any) -> None:
    server = await start(("Fine.",), (ModelFailure("overloaded"),))
    id = await server.opened()
    path = f"/api/test/conversations/{id}/stress-test?message_count=2&concurrent_connections=1"
    # The failure answers at once: nobody waits for a socket to hear what was never said.
    body = (await server.http.get(path)).json()
    assert (body["results"]["successful_messages"], body["results"]["failed_messages"]) == (1, 1)
    assert body["message_details"][1]["error"] == "the language model gave no answer"


@pytest.mark.parametrize(
    "query", ["message_count=1001", "message_count=0", "concurrent_connections=51", "concurrent_connections=x"]
)
async def test_a_stress_test_beyond_its_bounds_is_a_422(server: Any, query: str) -> None:
    id = await server.opened()
    assert (await server.http.get(f"/api/test/conversations/{id}/stress-test?{query}")).status_code == 422


async def test_deleting_ends_the_conversation_and_keeps_its_history(server: Any) -> None:
    id = await server.opened()
    head = server.system.store.head
    body = (await server.http.delete(f"/api/test/conversations/{id}")).json()
    assert (body["success"], body["conversation_id"]) == (True, id)
    assert body["message"]
    assert (await server.http.get(f"/api/v2/conversations/{id}")).json()["status"] == "ended"
    assert server.system.store.head > head


async def test_the_status_is_found_by_using_each_component(server: Any) -> None:
    head = server.system.store.head
    body = (await server.http.get("/api/test/system-status")).json()
    assert (body["success"], body["system_status"]) == (True, "operational")
    assert {name: component["status"] for name, component in body["components"].items()} == {
        "websocket_server": "operational",
        "conversation_state_manager": "operational",
        "database": "operational",
        "ai_service": "operational",
    }
    assert body["components"]["ai_service"]["model"] == "scripted"
    assert body["test_endpoints"]
    assert server.system.store.head == head


class FailingStore(MemoryStore):
    """A store that cannot be read, once told so."""

    broken = False

    async def read_all(self, *, after: int = 0, limit: int = 1000) -> list[Recorded]:
        self._check()
        return await super().read_all(after=after, limit=limit)

    async def read_stream(self, *args: Any, **options: Any) -> list[Recorded]:
        self._check()
        return await super().read_stream(*args, **options)

    async def read_events(self, *args: Any, **options: Any) -> list[Any]:
        self._check()
        return await super().read_events(*args, **options)

    async def append(self, *args: Any, **options: Any) -> tuple[Recorded, ...]:
        self._check()
        return await super().append(*args, **options)

    def _check(self) -> None:
        if self.broken:
            raise StoreUnavailable("the disk is on fire")


async def test_what_does_not_work_is_degraded(start: Any) -> None:
    store = FailingStore()
    server = await start(settings=WebSettings(model=""), store=store)
    await server.opened()
    store.broken = True
    body = (await server.http.get("/api/test/system-status")).json()
    assert (body["success"], body["system_status"]) == (False, "degraded")
    statuses = {name: component["status"] for name, component in body["components"].items()}
    assert (statuses["database"], statuses["ai_service"]) == ("failed", "failed")


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/v2/conversations"), ("GET", "/api/v2/conversations/{}"), ("PUT", "/api/v2/conversations/{}/end")],
)
async def test_an_unavailable_log_is_a_503_that_says_nothing_of_the_inside(start: Any, method: str, path: str) -> None:
    store = FailingStore()
    server = await start(store=store)
    id = await server.opened()
    store.broken = True
    answer = await server.http.request(method, path.format(id))
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert "fire" not in answer.text


async def test_a_resume_that_cannot_read_the_log_closes_with_1013(start: Any) -> None:
    store = FailingStore()
    server = await start(store=store)
    id = await server.opened()

    async def cannot_read(*_: Any, **__: Any) -> list[Recorded]:
        raise StoreUnavailable("the disk is on fire")

    store.read_stream = cannot_read  # type: ignore[method-assign]
    async with server.talk(id, f"?since=1&epoch={store.epoch}") as socket:
        assert (await socket.closed())[0] == 1013


async def test_routes_for_tests_are_there_only_where_they_are_switched_on(start: Any) -> None:
    server = await start(settings=WebSettings(model="scripted", test_endpoints=False))
    id = await server.opened()
    for method, path in (("POST", "/api/test/conversations"), ("DELETE", f"/api/test/conversations/{id}")):
        assert (await server.http.request(method, path)).status_code == 404
    assert (await server.http.get("/api/test/system-status")).status_code == 404
