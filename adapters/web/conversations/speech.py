"""Speech made up: what a recogniser would send, word by word, as real commands to the conversation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta, Struct
from quart import Blueprint, Response

from adapters.web.answers import answer
from adapters.web.conversations.desk import Desk, Found
from adapters.web.conversations.trials import SpeechResult, SpeechStep, Spoken
from adapters.web.described import Keyed, described
from adapters.web.requests import body_of, command_id
from core.conversation import Command, Conversation, Phase, RequestPhase, UpdateTranscript

MAX_SPEECH = 2000
"""Characters in a simulated utterance; every word of it is a command."""

TO_LISTENING: dict[Phase, tuple[Phase, ...]] = {
    Phase.LISTENING: (),
    Phase.SPEAKING: (Phase.WAITING_FOR_USER, Phase.LISTENING),
    Phase.ERROR: (Phase.IDLE, Phase.LISTENING),
}
"""The legal path to listening, where it is not one step."""


class SpeechBody(Struct, frozen=True):
    text: Annotated[str, Meta(max_length=MAX_SPEECH)]
    is_final: bool = True
    confidence: Annotated[float, Meta(ge=0, le=1)] = 0.95
    simulate_interim_steps: bool = True


def add_routes(blueprint: Blueprint, desk: Desk) -> None:
    @blueprint.post("/api/test/conversations/<id>/speech")
    @described(Spoken, 404, 409, body=SpeechBody, headers=Keyed)
    async def post_speech(id: str) -> Response:
        """Have a text heard as if it were spoken, word by word."""
        body, key = await body_of(SpeechBody), command_id()
        before = await desk.find(id)
        steps = list(simulation(body))
        version, state = before.version, before.state
        for role, command in _commands(before.phase, steps):
            outcome = await desk.ask(before.stream, command, _step_key(key, role))
            version, state = outcome.version, outcome.state
        return answer(await _spoken(desk, before, steps, version, state))


def simulation(body: SpeechBody) -> Iterator[SpeechStep]:
    """The steps of an utterance: the interim text grows by a word, the confidence rises to the given one."""
    words = body.text.split() if body.simulate_interim_steps else []
    if not body.is_final and not words:
        words = [body.text]
    for n in range(1, len(words) + 1):
        confidence = round(body.confidence * (0.5 + 0.5 * n / len(words)), 4)
        yield SpeechStep(n, confidence, is_final=False, interim_text=" ".join(words[:n]))
    if body.is_final:
        yield SpeechStep("final", body.confidence, is_final=True, final_text=body.text)


def _commands(phase: Phase, steps: list[SpeechStep]) -> Iterator[tuple[str, Command]]:
    """Each with its role, which a retry finds again although the way to listening may be shorter then."""
    for step in TO_LISTENING.get(phase, (Phase.LISTENING,)):
        yield f"phase/{step}", RequestPhase(step, {"reason": "simulated_speech"})
    for said in steps:
        final = said.text if said.is_final else None
        yield f"step/{said.step}", UpdateTranscript(None if said.is_final else said.text, final, said.confidence)


def _step_key(key: str | None, role: str) -> str | None:
    """The id of one of the commands a request stands for, so that the request as a whole can be retried."""
    return None if key is None else hashlib.sha256(f"{key}/{role}".encode()).hexdigest()


async def _spoken(desk: Desk, before: Found, steps: list[SpeechStep], version: int, state: Conversation) -> Spoken:
    last = steps[-1]
    return Spoken(
        success=True,
        conversation_id=before.stream.id,
        simulation_steps=steps,
        final_result=SpeechResult(last.text, last.confidence, last.is_final, state.transcript),
        websocket_updates=await desk.frame_types(before, version),
    )
