"""The replay gate: what today's code decides is held against what the log says was decided."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from core.conversation import (
    ConversationOpened,
    InterimHeard,
    OpenConversation,
    Phase,
    RequestPhase,
    UpdateTranscript,
    conversation,
)
from core.decider import AnyDecider, CommandRejected, Rejected
from core.gate import POISONED, StreamGate
from core.identifiers import Category, StreamName

STREAM = StreamName.of(Category.CONVERSATION, "a")

Group = tuple[Any, tuple[Any, ...]]


def lived(*commands: Any) -> Iterator[Group]:
    """What the log has after these commands, as the decider is."""
    state = conversation.initial
    for command in commands:
        decided = conversation.decide(state, command)
        events = (CommandRejected.of(decided),) if isinstance(decided, Rejected) else decided
        state = conversation.fold(state, events)
        yield command, events


HISTORY = tuple(
    lived(
        OpenConversation(user_id="ada"),
        RequestPhase(Phase.LISTENING),
        UpdateTranscript(interim="so I went"),
        RequestPhase(Phase.SPEAKING),  # refused, and recorded as that
        UpdateTranscript(final="So I went sailing."),
        RequestPhase(Phase.ENDED),
    )
)


def first_divergence(decider: AnyDecider, history: tuple[Group, ...] = HISTORY) -> tuple[int, Any] | None:
    gate = StreamGate(STREAM, decider)
    for command, recorded in history:
        divergence = gate.take(command, recorded)
        if divergence is not None:
            return divergence.version, divergence
    return None


def test_a_history_with_refusals_is_decided_again_by_unchanged_code() -> None:
    assert any(isinstance(recorded[0], CommandRejected) for _, recorded in HISTORY)
    assert first_divergence(conversation) is None


def test_a_changed_rule_is_found_at_the_first_event_it_would_have_changed() -> None:
    def decide(state: Any, command: Any) -> Any:
        if isinstance(command, UpdateTranscript) and command.final:
            return Rejected("too_late", "nothing is taken any more")
        return conversation.decide(state, command)

    found = first_divergence(replace(conversation, decide=decide))
    assert found is not None
    version, divergence = found
    assert version == 1 + sum(len(recorded) for _, recorded in HISTORY[:4])
    assert divergence.recorded == HISTORY[4][1]
    assert divergence.today == (CommandRejected("too_late", "nothing is taken any more"),)


@pytest.mark.parametrize("impure", [time.monotonic_ns, count().__next__])
def test_a_clock_or_a_counter_in_a_decider_is_found(impure: Any) -> None:
    def decide(state: Any, command: Any) -> Any:
        decided = conversation.decide(state, command)
        if isinstance(command, UpdateTranscript) and command.interim:
            return (InterimHeard(f"{command.interim} {impure()}"),)
        return decided

    history = tuple((c, replace_interims(r, "so I went 5")) for c, r in HISTORY)
    found = first_divergence(replace(conversation, decide=decide), history)
    assert found is not None
    assert isinstance(found[1].today[0], InterimHeard)


def replace_interims(recorded: tuple[Any, ...], text: str) -> tuple[Any, ...]:
    return tuple(InterimHeard(text) if isinstance(event, InterimHeard) else event for event in recorded)


def test_code_that_raises_where_it_once_did_not_is_found_whether_it_decides_or_folds() -> None:
    def fail(state: Any, message: Any) -> Any:
        raise ZeroDivisionError(f"of {type(message).__name__}")

    for broken in (replace(conversation, decide=fail), replace(conversation, evolve=fail)):
        found = first_divergence(broken)
        assert found is not None
        assert found[0] == 1
        assert found[1].crash is not None
        assert found[1].crash.startswith("ZeroDivisionError: of ")


def test_one_difference_does_not_make_all_that_follows_differ() -> None:
    """What was recorded is what is folded, whatever today's code would have made of it."""
    gate = StreamGate(STREAM, conversation)
    opened = ConversationOpened("stern", "daily", None, "ada", "api")
    assert gate.take(OpenConversation(user_id="ada"), (opened,)) is not None
    gate = StreamGate(STREAM, conversation)
    assert gate.take(None, (opened,)) is None
    assert all(gate.take(command, recorded) is None for command, recorded in HISTORY[1:])


def test_a_command_that_was_set_aside_for_crashing_is_not_decided_again() -> None:
    poisoned = CommandRejected(POISONED, "this command crashed its actor 3 times and was set aside")
    history = (*HISTORY[:2], (UpdateTranscript(interim="hm"), (poisoned,)), *HISTORY[2:])
    assert first_divergence(conversation, history) is None


def test_what_the_log_has_no_command_for_is_folded_only() -> None:
    history = ((None, HISTORY[0][1]), *HISTORY[1:])
    assert first_divergence(conversation, history) is None
