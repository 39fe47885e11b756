"""Clients written from nothing but the seeds: their frames, byte for byte as they write them, on the whole server."""

from __future__ import annotations

import time
from base64 import b64decode
from hashlib import sha1
from typing import Any

from msgspec import json

from tests.adapters.web.conftest import Socket
from tests.adapters.whole import heard, say, serving

HANDLED = ("state_update", "transcript_update", "ai_response", "speech_event", "error")
"""What the seed's browser class has a branch for; what else comes falls through its switch."""


async def shown(socket: Socket, kind: str) -> Any:
    """The payload of the next such frame, as `handleMessage` gives it to its handlers; none may be an error."""
    while True:
        message = await heard(socket)
        assert message["type"] != "error", message
        if message["type"] == kind:
            return message["payload"]


async def test_the_conversations_seed_in_its_own_order() -> None:
    async with serving() as server:
        created = (await server.http.post("/api/test/conversations", json={"personality": "friendly_neutral"})).json()
        id = created["conversation"]["conversation_id"]
        async with server.connect(f"/api/ws/conversations/{id}") as socket:
            first = await heard(socket)
            assert (first["type"], first["payload"]["current_state"], first["conversation_id"]) == (
                "state_update",
                "idle",
                id,
            )
            wanted = {"state": "listening", "metadata": {"reason": "user_started_speaking"}}
            await socket.wire.send_message(json.encode({"type": "state_change_request", "payload": wanted}).decode())
            state = await shown(socket, "state_update")
            assert (state["current_state"], state["speech_recognition_active"]) == ("listening", True)
            said = {"interim_transcript": "hello ho", "final_transcript": "hello how are you", "confidence": 0.95}
            await say(socket, {"type": "transcript_update", "payload": said})
            assert (await shown(socket, "transcript_update"))["accumulated_transcript"] == "hello how are you"
            await say(
                socket, {"type": "speech_event", "payload": {"event_type": "speech_start", "data": {"volume": 0.8}}}
            )
            assert await shown(socket, "speech_event") == {"event_type": "speech_start", "data": {"volume": 0.8}}
            body = {"content": "Hello, how are you today?", "simulate_processing_delay": False}
            answered = (await server.http.post(f"/api/test/conversations/{id}/message", json=body)).json()
            answer = await shown(socket, "ai_response")
            assert answer["content"] == answered["ai_response"]
            assert {"message_id", "audio_url", "feedback"} <= answer.keys()
            assert {"clarity", "fluency"} <= answer["feedback"].keys()


async def test_the_conversations_seeds_requests_are_all_answered() -> None:
    async with serving() as server:
        created = (
            await server.http.post(
                "/api/v2/conversations", json={"personality": "friendly_neutral", "session_type": "daily"}
            )
        ).json()
        id = created["id"]
        asked: list[tuple[str, str, Any]] = [
            ("GET", f"/api/conversations/{id}/state", None),
            ("GET", f"/api/conversations/{id}/connections", None),
            ("GET", f"/api/v2/conversations/{id}", None),
            ("POST", f"/api/v2/conversations/{id}/messages", {"content": "Your message here", "role": "user"}),
            ("POST", f"/api/test/conversations/{id}/speech", {"text": "Hello world", "simulate_interim_steps": True}),
            ("GET", f"/api/test/conversations/{id}/state-transitions", None),
            ("GET", "/api/test/system-status", None),
            ("POST", "/api/conversation", {"message": "Hello"}),
        ]
        for method, path, body in asked:
            answer = await server.http.request(method, path, json=body)
            assert answer.status_code == 200, (path, answer.text)
        answer = await server.http.get(f"/api/test/conversations/{id}/stress-test?message_count=2", timeout=20)
        assert answer.json()["results"]["successful_messages"] == 2


def framed(kind: str, **fields: Any) -> dict[str, Any]:
    """As the seed's hook writes it."""
    return {"type": kind, **fields, "session_id": "my-session", "timestamp": time.time_ns() // 1_000_000}


async def test_the_streams_seed_in_its_own_order() -> None:
    async with serving() as server, server.connect("/api/stream/ws/my-session") as socket:
        began = time.time_ns() // 1_000_000
        steps: list[tuple[dict[str, Any] | None, str, dict[str, Any]]] = [
            (None, "connection_established", {"message": "Connected to session my-session"}),
            (framed("ping"), "pong", {}),
            (framed("chat", message="Hello, world!"), "chat_message", {"message": "Hello, world!"}),
            (framed("audio", data="YXVkaW8gZGF0YQ=="), "audio_received", {}),
            (framed("video", data="dmlkZW8gZGF0YQ=="), "video_received", {}),
            (framed("test", data="Hello"), "test_response", {"message": "Test message received"}),
            (framed("invalid_type"), "unknown_message", {"message": "Unknown message type: invalid_type"}),
        ]
        for frame, kind, fields in steps:
            if frame is not None:
                await say(socket, frame)
            answer = await heard(socket)
            assert {"type": kind, "session_id": "my-session", **fields}.items() <= answer.items(), answer
            assert began - 1000 <= answer["timestamp"] <= time.time_ns() // 1_000_000 + 1000
        assert (await heard(socket))["type"] == "error"
        await say(socket, framed("transcription_request", data="YXVkaW8gZGF0YQ=="))
        refused = await heard(socket)
        assert (refused["type"], type(refused["error"])) == ("transcription_error", str)
        await socket.wire.send_message("invalid json")
        assert (await heard(socket))["type"] == "error"
        status = (await server.http.get("/api/stream/status/my-session")).json()
        assert (status["websocket_connected"], status["active_sessions"]) == (True, ["my-session"])
        assert (await server.http.delete("/api/stream/disconnect/my-session")).json() == {"status": "disconnected"}
        assert (await socket.closed())[0] == 1000
        assert (await server.http.get("/api/stream/status/test-session")).json() == {"status": "not_connected"}


async def test_the_streams_seeds_debug_command_shakes_hands_with_its_key_of_13_bytes() -> None:
    async with serving() as server, server.raw() as wire:
        key = "SGVsbG8sIHdvcmxkIQ=="
        answer = await wire.shake("/api/stream/ws/test", f"Sec-WebSocket-Key: {key}")
        assert answer.status == 101
        proof = sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()  # noqa: S324  # RFC 6455, 4.2.2
        assert b64decode(answer.headers["sec-websocket-accept"]) == proof
        assert (await wire.told())["type"] == "connection_established"


async def test_the_streams_seeds_pages_are_permitted_what_its_middleware_permits() -> None:
    async with serving() as server:
        for origin in ("http://localhost:3000", "http://127.0.0.1:3000"):
            asked = {"Origin": origin, "Access-Control-Request-Method": "DELETE"}
            headers = {**asked, "Access-Control-Request-Headers": "x-whatever"}
            answer = await server.http.options("/api/stream/disconnect/a", headers=headers)
            assert answer.headers["Access-Control-Allow-Origin"] == origin
            assert answer.headers["Access-Control-Allow-Credentials"] == "true"
            methods = set(answer.headers["Access-Control-Allow-Methods"].split(", "))
            assert methods == {"GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"}
            assert answer.headers["Access-Control-Allow-Headers"] == "x-whatever"


SAID = [{"role": "agent", "content": "Hello! How can I help you today?"}, {"role": "user", "content": "Hi there."}]
CALL = {
    "call_id": "call-1", "call_type": "phone_call", "agent_id": "agent-1", "call_status": "ongoing",
    "start_timestamp": 1714608475945, "from_number": "+12137771234", "to_number": "+12137771235",
    "direction": "inbound", "metadata": {}, "retell_llm_dynamic_variables": {"customer_name": "John Doe"},
}  # fmt: skip


async def whole_answer(socket: Socket, response_id: int) -> str:
    said, is_complete = "", False
    while not is_complete:
        frame = await heard(socket)
        assert (frame["response_type"], frame["response_id"]) == ("response", response_id), frame
        assert None not in frame.values()
        said, is_complete = said + frame["content"], frame["content_complete"]
    return said


async def test_the_retell_seed_in_its_own_order() -> None:
    async with serving() as server, server.connect("/ws-default/call-1") as socket:
        config = await heard(socket)
        assert config == {"response_type": "config", "config": {"auto_reconnect": True, "call_details": True}}
        await say(socket, {"interaction_type": "call_details", "call": CALL})
        assert await whole_answer(socket, 0)
        await say(socket, {"interaction_type": "ping_pong", "timestamp": 1703302407333})
        assert await heard(socket) == {"response_type": "ping_pong", "timestamp": 1703302407333}
        turn = {"transcript": SAID, "transcript_with_tool_calls": SAID}
        await say(socket, {"interaction_type": "update_only", **turn, "turntaking": "user_turn"})
        await say(socket, {"interaction_type": "response_required", "response_id": 1, **turn})
        assert await whole_answer(socket, 1)
        await say(socket, {"interaction_type": "reminder_required", "response_id": 2, **turn})
        assert await whole_answer(socket, 2)
        for event in ("call_started", "call_ended", "call_analyzed"):
            answer = await server.http.post("/webhook", json={"event": event, "call": CALL})
            assert (answer.status_code, answer.json()) == (200, {"received": True})
        assert await socket.closed() == (1000, "The call has ended")


async def test_a_call_is_not_hung_up_when_this_server_stops() -> None:
    async with serving() as server, server.connect("/ws-default/call-1") as socket:
        await heard(socket)
        server.shutdown.set()
        assert (await socket.closed())[0] == 1012
