"""The state machine tried out: all pairs of states, on scratch conversations that are nowhere but here."""

from __future__ import annotations

from adapters.web.conversations.trials import TransitionTested
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


def pairs_tested() -> list[TransitionTested]:
    """Every pair of states: `valid` is what the table says, `success` whether the decider really moved."""
    return [_tested(start, end) for start in Phase for end in Phase]


def _tested(start: Phase, end: Phase) -> TransitionTested:
    outcome = conversation.decide(_scratch(start), RequestPhase(end))
    valid = end in TRANSITIONS[start]
    if isinstance(outcome, Rejected):
        return TransitionTested(start, end, valid, success=False, error=outcome.message)
    return TransitionTested(start, end, valid, success=True)


def _scratch(phase: Phase) -> Conversation:
    opened = ConversationOpened("friendly_neutral", "test", None, None, "test")
    return conversation.fold(conversation.initial, (opened, PhaseEntered(phase, Phase.IDLE)))
