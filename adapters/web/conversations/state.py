"""State and transcript of a conversation over REST."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct
from quart import Blueprint, Response

from adapters.protocols import wire
from adapters.web.answers import Problem, answer, unprocessable
from adapters.web.conversations.desk import Desk, Found
from adapters.web.conversations.shapes import Connections, Done, StateEntered, StateShown, Transcript
from adapters.web.described import Keyed, described
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


class StateBody(Struct, frozen=True):
    """`metadata` is shown beside the state."""

    state: Phase
    metadata: dict[str, Any] | None = None


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
    @described(StateShown, 404)
    async def get_state(id: str) -> Response:
        """The state of a conversation, and what was heard of the user."""
        return answer(_state(desk, await desk.find(id)))

    @blueprint.post("/api/conversations/<id>/state")
    @described(StateEntered, 400, 404, 409, body=StateBody, headers=Keyed)
    async def post_state(id: str) -> Response:
        """Move the conversation to another state, where that is legal."""
        entered = await desk.ask_existing(id, await _requested_phase(), PhaseEntered)
        return answer(StateEntered(True, id, entered.phase, desk.now()))

    @blueprint.get("/api/conversations/<id>/connections")
    @described(Connections, 404)
    async def get_connections(id: str) -> Response:
        """How many sockets listen to a conversation."""
        found = await desk.find(id)
        return answer(Connections(id, desk.clients(found.stream), desk.now()))

    @blueprint.post("/api/conversations/<id>/transcript")
    @described(Done, 404, 409, body=TranscriptBody, headers=Keyed)
    async def post_transcript(id: str) -> Response:
        """Tell what was heard: an interim text, which the next one replaces, or a final one, which is kept."""
        body = await body_of(TranscriptBody)
        update = UpdateTranscript(body.interim_transcript, body.final_transcript, body.confidence)
        await desk.ask_existing(id, update, InterimHeard, FinalHeard)
        return answer(Done(True, id, desk.now()))

    @blueprint.post("/api/conversations/<id>/ai-response")
    @described(Done, 404, 409, body=AiResponseBody, headers=Keyed)
    async def post_ai_response(id: str) -> Response:
        """Say something as the assistant; no language model is asked."""
        body = await body_of(AiResponseBody)
        check_depth(body.feedback, "feedback")
        reply = GiveReply(desk.system.identifiers.new(), body.content, body.audio_url, body.feedback)
        await desk.ask_existing(id, reply, MessageSaid)
        return answer(Done(True, id, desk.now()))


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


def _state(desk: Desk, found: Found) -> StateShown:
    state, phase = found.state, found.phase
    return StateShown(
        conversation_id=found.stream.id,
        current_state=phase,
        speech_recognition_active=phase is Phase.LISTENING,
        speech_synthesis_active=phase is Phase.SPEAKING,
        transcript=Transcript(state.transcript, state.interim),
        active_connections=desk.clients(found.stream),
        timestamp=desk.now(),
    )
