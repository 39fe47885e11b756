"""The state machine tried out: all pairs of states, on scratch conversations that are nowhere but here."""

from __future__ import annotations

from typing import Any

from core.conversation import (
    TRANSITIONS,
    Conversation,
    ConversationOpened,
    Phase,
    PhaseEntered,
    RequestPhase,
    conversation,
)
from core.decider import Rejected


def pairs_tested() -> list[dict[str, Any]]:
    """Every pair of states: `valid` is what the table says, `success` whether the decider really moved."""
    return [_tested(start, end) for start in Phase for end in Phase]


def _tested(start: Phase, end: Phase) -> dict[str, Any]:
    outcome = conversation.decide(_scratch(start), RequestPhase(end))
    refused = isinstance(outcome, Rejected)
    row = {"from": start.value, "to": end.value, "valid": end in TRANSITIONS[start], "success": not refused}
    return row | {"error": outcome.message} if isinstance(outcome, Rejected) else row


def _scratch(phase: Phase) -> Conversation:
    opened = ConversationOpened("friendly_neutral", "test", None, None, "test")
    return conversation.fold(conversation.initial, (opened, PhaseEntered(phase, Phase.IDLE)))
