"""What the routes of a conversation answer: one type for each shape of contracts/conversations.md."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from adapters.web.described import Timestamp
from core.conversation import Phase, Role

Status = Literal["active", "ended"]


class Transcript(Struct, frozen=True):
    final_transcript: str
    interim_transcript: str | None


class StateShown(Struct, frozen=True):
    conversation_id: str
    current_state: Phase
    speech_recognition_active: bool
    speech_synthesis_active: bool
    transcript: Transcript
    active_connections: int
    timestamp: Timestamp


class Connections(Struct, frozen=True):
    conversation_id: str
    active_connections: int
    timestamp: Timestamp


class Done(Struct, frozen=True):
    success: bool
    conversation_id: str
    timestamp: Timestamp


class StateEntered(Struct, frozen=True):
    success: bool
    conversation_id: str
    new_state: Phase
    timestamp: Timestamp


class ConversationMetadata(Struct, frozen=True):
    session_type: str
    topic: str | None
    created_via: str


class Opened(Struct, frozen=True):
    """`id` and `conversation_id` are the same."""

    id: str
    conversation_id: str
    user_id: str | None
    status: Status
    personality: str
    created_at: Timestamp
    conversation_metadata: ConversationMetadata


class Listed(Struct, frozen=True):
    id: str
    conversation_id: str
    user_id: str | None
    status: Status
    personality: str
    current_state: Phase
    message_count: int
    created_at: Timestamp
    last_activity: Timestamp
    conversation_metadata: ConversationMetadata


class ConversationPage(Struct, frozen=True):
    """The newest first. `total_count` is of all that match."""

    conversations: list[Listed]
    total_count: int
    limit: int
    offset: int


class Overview(Struct, frozen=True):
    conversation_id: str
    status: Status
    current_state: Phase
    message_count: int
    last_activity: Timestamp
    active_connections: int


class Vocabulary(Struct, frozen=True):
    """How rich the words of a text are: `core/feedback.py` states the measure."""

    vocabulary_tier: str
    vocabulary_score: int
    vocabulary_usage: tuple[str, ...]
    suggestions: tuple[str, ...]


class Exchanged(Struct, frozen=True):
    """`ai_response` is null where the answer was interrupted, and where the message was the assistant's own."""

    success: bool
    message_id: str
    ai_response: str | None
    feedback: dict[str, Any] | None
    vocabulary_analysis: Vocabulary | None
    conversation_state: Phase


class Message(Struct, frozen=True):
    id: str
    role: Role
    content: str
    timestamp: Timestamp
    audio_url: str | None
    feedback: dict[str, Any] | None
    in_reply_to: str | None


class MessagePage(Struct, frozen=True):
    """The oldest first. `total_messages` counts both sides."""

    conversation_id: str
    messages: list[Message]
    total_messages: int
    limit: int
    offset: int


class Ended(Struct, frozen=True):
    success: bool
    conversation_id: str
    status: Literal["ended"]
    timestamp: Timestamp


class Migrated(Struct, frozen=True):
    conversation_id: str


# --- the API there was before WebSockets ---


class LegacyFeedback(Struct, frozen=True, rename="camel"):
    clarity: int
    fluency: int
    vocabulary_tier: str
    vocabulary_score: int
    vocabulary_usage: tuple[str, ...]
    suggestions: tuple[str, ...]
    overall_rating: int


class Usage(Struct, frozen=True):
    """Which of the target words were used; the rate is null where there were none to use."""

    target_words: tuple[str, ...]
    used_words: tuple[str, ...]
    unused_words: list[str]
    usage_rate: float | None


class LegacyAnswer(Struct, frozen=True):
    """`session_id`, sent with the next message, goes on with the same conversation."""

    success: bool
    response: str
    feedback: LegacyFeedback
    vocabulary_tier: str
    usage_analysis: Usage
    session_id: str
