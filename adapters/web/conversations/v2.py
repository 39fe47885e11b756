"""Conversations over REST: opening, listing, talking, ending, and moving legacy ones over."""

from __future__ import annotations

from typing import Annotated, Literal

import trio
from msgspec import Meta, Struct
from quart import Blueprint, Response

from adapters.protocols.wire import iso_time
from adapters.web.answers import Problem, answer, unavailable
from adapters.web.conversations.desk import KEY_OF_ANOTHER, Desk, Exchange, Found, last_of
from adapters.web.conversations.shapes import (
    ConversationMetadata,
    ConversationPage,
    Ended,
    Exchanged,
    Listed,
    Message,
    MessagePage,
    Migrated,
    Opened,
    Overview,
    Status,
    Vocabulary,
)
from adapters.web.described import Keyed, described
from adapters.web.requests import body_of, command_id, query_of
from core.conversation import (
    ConversationOpened,
    GiveReply,
    MessageSaid,
    MigrateConversation,
    OpenConversation,
    Phase,
    Role,
)
from core.feedback import assess
from core.messages import Accepted, Recorded
from core.views import ConversationSummary

BOARD_PATIENCE = 5.0
"""Seconds a listing waits for the view to catch up with the log."""

Limit = Annotated[int, Meta(ge=0, le=1000)]
Offset = Annotated[int, Meta(ge=0, le=1 << 31)]


class OpenBody(Struct, frozen=True):
    personality: str = "friendly_neutral"
    session_type: str = "daily"
    topic: str | None = None
    user_id: str | None = None


class ListQuery(Struct, frozen=True):
    user_id: str | None = None
    status: Literal["active", "ended"] | None = None
    limit: Limit = 20
    offset: Offset = 0


class MessageBody(Struct, frozen=True):
    content: str
    role: Literal["user", "assistant"] = "user"
    audio_url: str | None = None


class MessagesQuery(Struct, frozen=True):
    limit: Limit = 50
    offset: Offset = 0


class MigrateBody(Struct, frozen=True):
    session_id: str


def add_routes(blueprint: Blueprint, desk: Desk) -> None:
    @blueprint.post("/api/v2/conversations")
    @described(Opened, body=OpenBody, headers=Keyed)
    async def open_conversation() -> Response:
        """Open a conversation."""
        body = await body_of(OpenBody)
        opening = OpenConversation(body.personality, body.session_type, body.topic, body.user_id, "api")
        return answer(_opened(await opened(desk, opening)))

    @blueprint.get("/api/v2/conversations")
    @described(ConversationPage, query=ListQuery)
    async def list_conversations() -> Response:
        """Conversations, the newest first."""
        return answer(await _listed(desk, query_of(ListQuery)))

    @blueprint.get("/api/v2/conversations/<id>")
    @described(Overview, 404)
    async def get_conversation(id: str) -> Response:
        """How a conversation stands."""
        return answer(await _overview(desk, await desk.find(id)))

    @blueprint.post("/api/v2/conversations/<id>/messages")
    @described(Exchanged, 404, 409, body=MessageBody, headers=Keyed)
    async def post_message(id: str) -> Response:
        """Say something, and wait for the answer; as the assistant, there is none to wait for."""
        body, key = await body_of(MessageBody), command_id()
        found = await desk.find(id)
        if body.role == "assistant":
            return answer(await _given(desk, found, body, key))
        return answer(_exchanged(await desk.say(found.stream, body.content, audio_url=body.audio_url, key=key)))

    @blueprint.get("/api/v2/conversations/<id>/messages")
    @described(MessagePage, 404, query=MessagesQuery)
    async def list_messages(id: str) -> Response:
        """What was said in a conversation, the oldest first."""
        query = query_of(MessagesQuery)
        return answer(await _messages(desk, await desk.find(id), query))

    @blueprint.put("/api/v2/conversations/<id>/end")
    @described(Ended, 404, 409, headers=Keyed)
    async def end_conversation(id: str) -> Response:
        """End a conversation, whatever its state; its sockets are closed."""
        await desk.end(id)
        return answer(Ended(True, id, "ended", desk.now()))

    @blueprint.post("/api/v2/conversations/migrate")
    @described(Migrated, 404, 409, body=MigrateBody, headers=Keyed)
    async def migrate_conversation() -> Response:
        """Move a conversation of the legacy API to this one."""
        body, key = await body_of(MigrateBody), command_id()
        found = await desk.find(body.session_id, legacy=True)
        if found.state.created_via != "legacy":
            raise Problem(404, "Conversation not found")
        await desk.ask(found.stream, MigrateConversation(), key)
        return answer(Migrated(found.stream.id))


# --- opening and listing ---


async def opened(desk: Desk, opening: OpenConversation) -> Recorded:
    """Open a conversation; with an Idempotency-Key used before, the one that was opened then."""
    key = command_id()
    outcome = await desk.ask(desk.new_stream(opening.created_via, key), opening, key)
    return outcome.records[0]


def _opened(record: Recorded) -> Opened:
    event: ConversationOpened = record.event
    return Opened(
        id=record.stream.id,
        conversation_id=record.stream.id,
        user_id=event.user_id,
        status="active",
        personality=event.personality,
        created_at=iso_time(record.stamp.time),
        conversation_metadata=_metadata(event),
    )


def _metadata(opened: ConversationOpened | ConversationSummary) -> ConversationMetadata:
    return ConversationMetadata(opened.session_type, opened.topic, opened.created_via)


async def _current_board(desk: Desk) -> None:
    """Raises Problem 503 when the view cannot catch up with the log."""
    with trio.move_on_after(BOARD_PATIENCE) as patience:
        await desk.system.board_current()
    if patience.cancelled_caught:
        raise unavailable()


async def _listed(desk: Desk, query: ListQuery) -> ConversationPage:
    await _current_board(desk)
    page = desk.system.board.conversations(
        user_id=query.user_id, status=query.status, limit=query.limit, offset=query.offset
    )
    shown = [_listing(summary) for summary in page.conversations]
    return ConversationPage(shown, page.total_count, query.limit, query.offset)


def _listing(summary: ConversationSummary) -> Listed:
    return Listed(
        id=summary.id,
        conversation_id=summary.id,
        user_id=summary.user_id,
        status=_status(summary.phase),
        personality=summary.personality,
        current_state=summary.phase,
        message_count=summary.message_count,
        created_at=iso_time(summary.created_at),
        last_activity=iso_time(summary.last_activity),
        conversation_metadata=_metadata(summary),
    )


def _status(phase: Phase) -> Status:
    return "ended" if phase is Phase.ENDED else "active"


async def _overview(desk: Desk, found: Found) -> Overview:
    """The status of one conversation; its last activity is that of its last record."""
    last = await desk.system.store.read_stream(found.stream, after=found.version - 1, limit=1)
    return Overview(
        conversation_id=found.stream.id,
        status=_status(found.phase),
        current_state=found.phase,
        message_count=found.state.message_count,
        last_activity=iso_time(last[0].stamp.time),
        active_connections=desk.clients(found.stream),
    )


# --- talking ---


async def _given(desk: Desk, found: Found, body: MessageBody, key: str | None) -> Exchanged:
    reply = GiveReply(desk.system.identifiers.new(), body.content, body.audio_url)
    outcome = await desk.ask(found.stream, reply, key)
    said: MessageSaid = last_of(outcome, MessageSaid).event
    if said.role is not Role.ASSISTANT:
        raise KEY_OF_ANOTHER
    return _message_answer(said, None, None, _phase_of(outcome))


def _phase_of(outcome: Accepted) -> Phase:
    phase: Phase = outcome.state.phase
    return phase


def _exchanged(exchange: Exchange) -> Exchanged:
    return _message_answer(exchange.said, exchange.answer, _vocabulary(exchange.said.content), exchange.phase)


def _message_answer(
    said: MessageSaid, ai_response: str | None, vocabulary_analysis: Vocabulary | None, phase: Phase
) -> Exchanged:
    return Exchanged(
        success=True,
        message_id=said.message_id,
        ai_response=ai_response,
        feedback=said.feedback,
        vocabulary_analysis=vocabulary_analysis,
        conversation_state=phase,
    )


def _vocabulary(text: str) -> Vocabulary:
    feedback = assess(text)
    return Vocabulary(
        vocabulary_tier=feedback.vocabulary_tier,
        vocabulary_score=feedback.vocabulary_score,
        vocabulary_usage=feedback.vocabulary_usage,
        suggestions=feedback.suggestions,
    )


async def _messages(desk: Desk, found: Found, query: MessagesQuery) -> MessagePage:
    records = await desk.system.store.read_stream(found.stream)
    said = [record for record in records if isinstance(record.event, MessageSaid)]
    return MessagePage(
        conversation_id=found.stream.id,
        messages=[_message(record) for record in said[query.offset : query.offset + query.limit]],
        total_messages=len(said),
        limit=query.limit,
        offset=query.offset,
    )


def _message(record: Recorded) -> Message:
    event: MessageSaid = record.event
    return Message(
        id=event.message_id,
        role=event.role,
        content=event.content,
        timestamp=iso_time(record.stamp.time),
        audio_url=event.audio_url,
        feedback=event.feedback,
        in_reply_to=event.in_reply_to,
    )
