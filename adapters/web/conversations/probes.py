"""Routes for trying things out: a conversation to test with, a message, the state machine, and what works."""

from __future__ import annotations

from typing import Annotated

import trio
from msgspec import Meta, Struct
from quart import Blueprint, Response, request

from adapters.gateways.improvisation import welcome
from adapters.web.answers import answer
from adapters.web.conversations.components import examine
from adapters.web.conversations.desk import Desk, Exchange, Found
from adapters.web.conversations.shapes import Transcript
from adapters.web.conversations.transitions import pairs_tested
from adapters.web.conversations.trials import (
    SystemStatus,
    TestAddresses,
    TestConversation,
    TestDeleted,
    TestExchanged,
    TestOpened,
    TransitionsTested,
)
from adapters.web.conversations.v2 import opened
from adapters.web.described import Keyed, described
from adapters.web.requests import body_of, command_id
from core.conversation import ConversationOpened, OpenConversation

INSTRUCTIONS = (
    "Connect to the WebSocket: the first frame shows the state of the conversation.",
    "POST a message, or simulate speech, and see what the socket is sent.",
    "GET the state at any time; DELETE the conversation when you are done.",
)
ENDPOINTS = {
    "create_conversation": "POST /api/test/conversations",
    "send_message": "POST /api/test/conversations/{conversation_id}/message",
    "simulate_speech": "POST /api/test/conversations/{conversation_id}/speech",
    "state_transitions": "GET /api/test/conversations/{conversation_id}/state-transitions",
    "stress_test": "GET /api/test/conversations/{conversation_id}/stress-test",
    "delete_conversation": "DELETE /api/test/conversations/{conversation_id}",
    "websocket": "/api/ws/conversations/{conversation_id}",
}


class TestConversationBody(Struct, frozen=True):
    personality: str = "friendly_neutral"
    session_type: str = "test"
    topic: str | None = "testing"


class TestMessageBody(Struct, frozen=True):
    content: str
    simulate_processing_delay: bool = False
    delay_seconds: Annotated[float, Meta(ge=0, le=30)] = 1.0


def add_routes(blueprint: Blueprint, desk: Desk) -> None:
    @blueprint.post("/api/test/conversations")
    @described(TestOpened, body=TestConversationBody, headers=Keyed)
    async def open_test_conversation() -> Response:
        """Open a conversation to try things with."""
        body = await body_of(TestConversationBody)
        opening = OpenConversation(body.personality, body.session_type, body.topic, None, "test")
        record = await opened(desk, opening)
        return answer(_to_test(record.stream.id, record.event))

    @blueprint.post("/api/test/conversations/<id>/message")
    @described(TestExchanged, 404, 409, body=TestMessageBody, headers=Keyed)
    async def post_test_message(id: str) -> Response:
        """Say something, wait for the answer, and see what sockets were sent."""
        body, key = await body_of(TestMessageBody), command_id()
        before = await desk.find(id)
        started = trio.current_time()
        if body.simulate_processing_delay:
            await trio.sleep(body.delay_seconds)
        exchange = await desk.say(before.stream, body.content, key=key)
        elapsed = trio.current_time() - started
        return answer(await _exchanged(desk, before, exchange, elapsed))

    @blueprint.get("/api/test/conversations/<id>/state-transitions")
    @described(TransitionsTested, 404)
    async def get_state_transitions(id: str) -> Response:
        """Every pair of states, tried on scratch conversations."""
        return answer(await _transitions(desk, await desk.find(id)))

    @blueprint.delete("/api/test/conversations/<id>")
    @described(TestDeleted, 404, 409, headers=Keyed)
    async def delete_test_conversation(id: str) -> Response:
        """End a conversation. The log keeps its history."""
        await desk.end(id, "deleted")
        return answer(TestDeleted(True, id, "The conversation has ended; the log keeps its history"))

    @blueprint.get("/api/test/system-status")
    @described(SystemStatus)
    async def get_system_status() -> Response:
        """What of the server works, found out by using it."""
        return answer(await _status(desk))


async def _transitions(desk: Desk, found: Found) -> TransitionsTested:
    tested = pairs_tested()
    return TransitionsTested(
        success=all(pair.valid == pair.success for pair in tested),
        conversation_id=found.stream.id,
        initial_state=found.phase,
        final_state=(await desk.find(found.stream.id)).phase,
        transitions_tested=tested,
        websocket_updates=[],  # scratch conversations have no sockets
    )


async def _status(desk: Desk) -> SystemStatus:
    components = await examine(desk)
    works = all(component.status == "operational" for component in components.values())
    return SystemStatus(
        success=works,
        timestamp=desk.now(),
        system_status="operational" if works else "degraded",
        components=components,
        test_endpoints=ENDPOINTS,
    )


def _to_test(id: str, opened: ConversationOpened) -> TestOpened:
    websocket_path = f"/api/ws/conversations/{id}"
    scheme = "wss" if request.scheme == "https" else "ws"
    return TestOpened(
        success=True,
        conversation=TestConversation(
            conversation_id=id,
            welcome_message=welcome(opened.personality, opened.topic),
            personality=opened.personality,
            status="ready",
            websocket_url=websocket_path,
        ),
        test_endpoints=TestAddresses(
            websocket=f"{scheme}://{request.host}{websocket_path}",
            state=f"/api/conversations/{id}/state",
            send_message=f"/api/test/conversations/{id}/message",
            simulate_speech=f"/api/test/conversations/{id}/speech",
        ),
        instructions=INSTRUCTIONS,
    )


async def _exchanged(desk: Desk, before: Found, exchange: Exchange, elapsed: float) -> TestExchanged:
    now = await desk.find(before.stream.id)
    return TestExchanged(
        success=True,
        message_processed=not exchange.failed,
        conversation_id=now.stream.id,
        user_message=exchange.said.content,
        ai_response=exchange.answer,
        feedback=exchange.said.feedback,
        current_state=exchange.phase,
        transcript=Transcript(now.state.transcript, now.state.interim),
        processing_time_ms=round(elapsed * 1000, 3),
        websocket_updates=await desk.frame_types(before, now.version),
    )
