"""The API there was before WebSockets: a message in, an answer out."""

from __future__ import annotations

from msgspec import Struct
from quart import Blueprint, Response

from adapters.web.answers import accepted, answer, not_found
from adapters.web.conversations.desk import Desk, Exchange
from adapters.web.conversations.shapes import LegacyAnswer, LegacyFeedback, Usage
from adapters.web.described import Keyed, described
from adapters.web.requests import body_of, command_id
from core.conversation import OpenConversation
from core.feedback import MAX_TARGETS, Feedback, assess
from core.identifiers import StreamName
from core.messages import Refused


class LegacyBody(Struct, frozen=True):
    message: str
    personality: str = "friendly_neutral"
    target_vocabulary: tuple[str, ...] | None = None
    session_type: str = "daily"
    topic: str | None = None
    session_id: str | None = None


def add_routes(blueprint: Blueprint, desk: Desk) -> None:
    @blueprint.post("/api/conversation")
    @described(LegacyAnswer, 404, 409, body=LegacyBody, headers=Keyed)
    async def converse() -> Response:
        """Say something, and wait for the answer; without a `session_id` in a new conversation."""
        body, key = await body_of(LegacyBody), command_id()
        targets = (body.target_vocabulary or ())[:MAX_TARGETS]
        stream = await _session(desk, body, key)
        return answer(_answered(await desk.say(stream, body.message, targets=targets, key=key), targets))


async def _session(desk: Desk, body: LegacyBody, key: str | None) -> StreamName:
    """The session the request goes on with, or a new one. Raises Problem 404 for one that is not a legacy session."""
    if body.session_id is not None:
        found = await desk.find(body.session_id, legacy=True)
        if found.state.created_via != "legacy":
            raise not_found()
        return found.stream
    stream = desk.new_stream("legacy", key)
    opening = OpenConversation(body.personality, body.session_type, body.topic, None, "legacy")
    outcome = await desk.system.ask(stream, opening, desk.stamp())
    if not (isinstance(outcome, Refused) and outcome.rejection.code == "conversation_exists"):
        accepted(outcome)
    return stream


def _answered(exchange: Exchange, targets: tuple[str, ...]) -> LegacyAnswer:
    feedback = assess(exchange.said.content, targets)
    return LegacyAnswer(
        success=True,
        response=exchange.answer or "",
        feedback=_legacy_feedback(feedback),
        vocabulary_tier=feedback.vocabulary_tier,
        usage_analysis=_usage(feedback, targets),
        session_id=exchange.recorded.stream.id,
    )


def _legacy_feedback(feedback: Feedback) -> LegacyFeedback:
    return LegacyFeedback(
        clarity=feedback.clarity,
        fluency=feedback.fluency,
        vocabulary_tier=feedback.vocabulary_tier,
        vocabulary_score=feedback.vocabulary_score,
        vocabulary_usage=feedback.vocabulary_usage,
        suggestions=feedback.suggestions,
        overall_rating=feedback.overall_rating,
    )


def _usage(feedback: Feedback, targets: tuple[str, ...]) -> Usage:
    used = feedback.vocabulary_usage
    return Usage(
        target_words=targets,
        used_words=used,
        unused_words=[word for word in targets if word not in used],
        usage_rate=round(len(used) / len(set(targets)), 3) if targets else None,
    )
