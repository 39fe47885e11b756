"""State and transcript of a conversation over REST."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct
from quart import Blueprint, Response

from adapters.protocols import wire
from adapters.web.answers import Problem, answer, unprocessable
from adapters.web.conversations.desk import Desk, Found, fields
from adapters.web.requests import body_of, fields_of_body
from core.conversation import (
    FinalHeard,
    GiveReply,
    InterimHeard,
    MessageSaid,
    Phase,
    PhaseEntered,
    RequestPhase,
    UpdateTranscript,
)

PHASES = tuple(phase.value for phase in Phase)


class TranscriptBody(Struct, frozen=True):
    interim_transcript: str | None = None
    final_transcript: str | None = None
    confidence: Annotated[float, Meta(ge=0, le=1)] | None = None


class AiResponseBody(Struct, frozen=True):
    content: str
    audio_url: str | None = None
    feedback: dict[str, Any] | None = None


def add_routes(blueprint: Blueprint, desk: Desk) -> None:
    @blueprint.get("/api/conversations/<id>/state")
    async def get_state(id: str) -> Response:
        return answer(state_fields(desk, await desk.find(id)))

    @blueprint.post("/api/conversations/<id>/state")
    async def post_state(id: str) -> Response:
        entered = await desk.ask_existing(id, await _requested_phase(), PhaseEntered)
        return answer(_done(desk, id, new_state=entered.phase.value))

    @blueprint.get("/api/conversations/<id>/connections")
    async def get_connections(id: str) -> Response:
        found = await desk.find(id)
        count = desk.clients(found.stream)
        return answer({"conversation_id": id, "active_connections": count, "timestamp": desk.now()})

    @blueprint.post("/api/conversations/<id>/transcript")
    async def post_transcript(id: str) -> Response:
        body = await body_of(TranscriptBody)
        update = UpdateTranscript(body.interim_transcript, body.final_transcript, body.confidence)
        await desk.ask_existing(id, update, InterimHeard, FinalHeard)
        return answer(_done(desk, id))

    @blueprint.post("/api/conversations/<id>/ai-response")
    async def post_ai_response(id: str) -> Response:
        body = await body_of(AiResponseBody)
        check_depth(body.feedback, "feedback")
        reply = GiveReply(desk.system.identifiers.new(), body.content, body.audio_url, body.feedback)
        await desk.ask_existing(id, reply, MessageSaid)
        return answer(_done(desk, id))


def _done(desk: Desk, id: str, **more: Any) -> dict[str, Any]:
    return fields(conversation_id=id, **more, timestamp=desk.now())


async def _requested_phase() -> RequestPhase:
    """The body of POST state; its two mistakes are 400s with the texts of the contract."""
    body = await fields_of_body()
    wanted, metadata = body.get("state"), body.get("metadata")
    if wanted is None or wanted == "":
        raise Problem(400, "State is required")
    if not isinstance(metadata, dict | None):
        raise unprocessable((("body", "metadata"), "Expected an object"))
    check_depth(metadata, "metadata")
    if wanted not in PHASES:
        raise Problem(400, f"Invalid state: {wire.excerpt(str(wanted))}")
    return RequestPhase(Phase(wanted), metadata or {})


def check_depth(value: Any, name: str) -> None:
    """Raises Problem 422 for a value nested deeper than the log takes."""
    try:
        wire.check_depth(value, name)
    except wire.WrongField as error:
        raise unprocessable((("body", name), str(error))) from None


def state_fields(desk: Desk, found: Found) -> dict[str, Any]:
    """The state of a conversation as REST shows it."""
    state, phase = found.state, found.phase
    return {
        "conversation_id": found.stream.id,
        "current_state": phase.value,
        "speech_recognition_active": phase is Phase.LISTENING,
        "speech_synthesis_active": phase is Phase.SPEAKING,
        "transcript": {"final_transcript": state.transcript, "interim_transcript": state.interim},
        "active_connections": desk.clients(found.stream),
        "timestamp": desk.now(),
    }
