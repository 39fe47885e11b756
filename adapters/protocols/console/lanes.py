"""In which lane of a picture an event stands: who or what it comes from."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from core import audit, call, channel, conversation, delivery, session
from core.call import Speaker
from core.conversation import Role
from core.decider import CommandRejected


class Lane(StrEnum):
    PERSON = "person"
    ASSISTANT = "assistant"
    TOOLS = "tools"
    DEVICES = "devices"
    SYSTEM = "system"


LANES: tuple[Lane, ...] = tuple(Lane)
"""In the order they are shown in."""

KINDS: dict[Lane, tuple[type, ...]] = {
    Lane.PERSON: (
        conversation.InterimHeard, conversation.FinalHeard, conversation.SpeechReported, conversation.MessageSaid,
        session.ChatSaid, call.UtterancesAdded, call.UtteranceContinued, call.TranscriptRewritten, channel.Published,
    ),
    Lane.ASSISTANT: (
        conversation.ReplyBegun, conversation.ReplyPieceAdded, conversation.ReplyFailed, conversation.ReplyInterrupted,
        call.GreetingGiven, call.ResponseRequired, call.ResponseBegun, call.ResponsePieceAdded, call.ResponsePaused,
        call.ResponseCompleted, call.ResponseFailed, call.ResponseSuperseded, call.CallerInterrupted,
    ),
    Lane.TOOLS: (
        conversation.ReplyToolBegun, conversation.ReplyToolEnded, session.ToolCallRequested, session.RatesRequested,
        session.TranscriptionRequested, session.RequestRepeated, session.ToolCallSucceeded, session.ToolCallFailed,
        session.RatesQuoted, session.RatesFailed, session.TranscriptionSucceeded, session.TranscriptionFailed,
        call.ToolRequested, call.ToolBegun, call.ToolSucceeded, call.ToolFailed,
    ),
    Lane.DEVICES: (
        conversation.ClientJoined, conversation.ClientLeft, session.DeviceJoined, session.DeviceLeft,
        session.DevicesDisconnected, session.ContextUpdated, session.AnswerShared, session.ValueSet,
        session.MediaReceived, session.SignalRelayed, session.PeerChanged, call.SocketConnected,
        call.SocketDisconnected, call.WebhookReceived,
    ),
    Lane.SYSTEM: (
        CommandRejected, conversation.ConversationOpened, conversation.PhaseEntered, conversation.ConversationMigrated,
        conversation.ChannelChosen, conversation.ConversationForked, session.SessionOpened, session.SessionExpired,
        call.CallDescribed, call.TurnPassed, call.MetadataShown, call.AgentAdjusted, call.UnknownNoted, call.CallEnded,
        call.CallForked, channel.ChannelOpened, audit.Accessed, audit.SubjectForgotten,
        audit.StreamsArchived, delivery.Noted,
    ),
}  # fmt: skip
"""Of what an event's kind alone decides; of some it does not, and they stand with most of their like."""

_LANE = {kind: lane for lane, kinds in KINDS.items() for kind in kinds}
_PUBLISHED = {"response": Lane.ASSISTANT, "error": Lane.ASSISTANT, "tool": Lane.TOOLS}
"""By the type of what the assistant publishes on a channel."""


def lane_of(event: Any) -> Lane:
    """Total: whatever the log holds has a lane."""
    match event:
        case conversation.MessageSaid(role=Role.ASSISTANT):
            return Lane.ASSISTANT
        case call.UtterancesAdded(_, utterances) | call.TranscriptRewritten(_, utterances) if utterances:
            return Lane.PERSON if any(one.role is Speaker.USER for one in utterances) else Lane.ASSISTANT
        case channel.Published(_, {"type": str(kind)}):
            return _PUBLISHED.get(kind, Lane.PERSON)
        case _:
            return _LANE.get(type(event), Lane.SYSTEM)
