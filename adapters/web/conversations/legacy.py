"""The API there was before WebSockets: a message in, an answer out."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from quart import Blueprint, Response

from adapters.web.answers import accepted, answer, not_found
from adapters.web.conversations.desk import Desk, Exchange, fields
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
    async def converse() -> Response:
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


def _answered(exchange: Exchange, targets: tuple[str, ...]) -> dict[str, Any]:
    feedback = assess(exchange.said.content, targets)
    return fields(
        response=exchange.answer or "",
        feedback=_legacy_feedback(feedback),
        vocabulary_tier=feedback.vocabulary_tier,
        usage_analysis=_usage(feedback, targets),
        session_id=exchange.recorded.stream.id,
    )


def _legacy_feedback(feedback: Feedback) -> dict[str, Any]:
    return {
        "clarity": feedback.clarity,
        "fluency": feedback.fluency,
        "vocabularyTier": feedback.vocabulary_tier,
        "vocabularyScore": feedback.vocabulary_score,
        "vocabularyUsage": feedback.vocabulary_usage,
        "suggestions": feedback.suggestions,
        "overallRating": feedback.overall_rating,
    }


def _usage(feedback: Feedback, targets: tuple[str, ...]) -> dict[str, Any]:
    """Which of the target words were used; the rate is None where there were none to use."""
    used = feedback.vocabulary_usage
    return {
        "target_words": targets,
        "used_words": used,
        "unused_words": [word for word in targets if word not in used],
        "usage_rate": round(len(used) / len(set(targets)), 3) if targets else None,
    }
