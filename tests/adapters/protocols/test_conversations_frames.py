from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from adapters.protocols.conversations import CONVERSATIONS, CONVERSATIONS_WITH_DELTAS, dialect_for
from core.conversation import (
    ChannelChosen,
    ClientJoined,
    ClientLeft,
    Conversation,
    ConversationForked,
    ConversationMigrated,
    ConversationOpened,
    Event,
    FinalHeard,
    InterimHeard,
    MessageSaid,
    Phase,
    PhaseEntered,
    ReplyBegun,
    ReplyFailed,
    ReplyInterrupted,
    ReplyPieceAdded,
    ReplyToolBegun,
    ReplyToolEnded,
    Role,
    SpeechReported,
)
from core.decider import CommandRejected
from core.dialect import Close, Reach
from core.identifiers import StreamName
from core.messages import Recorded, Stamp

STREAM = StreamName("conversation-c1")
STATE = Conversation(Phase.LISTENING, interim="th", transcript="hello")
NOT_SHOWN = [
    ConversationOpened("p", "daily", None, None, "api"),
    ConversationMigrated(),
    ConversationForked("conversation-c", 9, "gpt-4o"),
    ChannelChosen("news"),
    ReplyToolBegun("r1", 1, "c1", "get_weather", "{}"),
    ReplyToolEnded("r1", 1, "c1", "{}", False),
    MessageSaid("m1", Role.USER, "hello", reply_id="r1"),
    ReplyInterrupted("r1", "so f"),
    CommandRejected("illegal_transition", "no"),
]
STREAMED = [ReplyBegun("r1", 1, "scripted"), ReplyPieceAdded("r1", 1, 0, "so")]
SHOWN = [
    InterimHeard("th", 0.5),
    FinalHeard("hello"),
    PhaseEntered(Phase.LISTENING, Phase.IDLE, {"why": "x"}),
    SpeechReported("start", {"volume": 0.8}),
    MessageSaid("r1", Role.ASSISTANT, "hi", in_reply_to="m1", feedback={"clarity": 85}),
    ReplyFailed("r1", "overloaded", 3.0),
    ClientJoined("b.1", 2),
    ClientLeft("b.1", 1, "server_restarted"),
]


def recorded(event: Any, **stamp: Any) -> Recorded:
    return Recorded(41, STREAM, 7, event, Stamp("k", 1_735_862_400_000_000, **stamp))


def rendered(event: Any, state: Conversation = STATE, **stamp: Any) -> Any:
    frame = CONVERSATIONS_WITH_DELTAS.render(recorded(event, **stamp), state)
    assert frame is not None
    return json.loads(frame.body)


def name(value: object) -> str:
    return type(value).__name__


def test_this_module_knows_every_event() -> None:
    assert {type(event) for event in NOT_SHOWN + STREAMED + SHOWN} == {*get_args(Event), CommandRejected}


@pytest.mark.parametrize("event", NOT_SHOWN, ids=name)
def test_events_clients_do_not_see_have_no_frame(event: Any) -> None:
    assert CONVERSATIONS.render(recorded(event), STATE) is None
    assert CONVERSATIONS_WITH_DELTAS.render(recorded(event), STATE) is None


@pytest.mark.parametrize("event", STREAMED, ids=name)
def test_pieces_are_for_those_who_asked(event: Any) -> None:
    assert CONVERSATIONS.render(recorded(event), STATE) is None
    assert rendered(event)["type"] == "ai_response_delta"


@pytest.mark.parametrize("event", SHOWN, ids=name)
def test_both_dialects_share_all_other_frames_and_they_are_for_everyone(event: Any) -> None:
    frame = CONVERSATIONS.render(recorded(event, command_id="c"), STATE)
    assert frame == CONVERSATIONS_WITH_DELTAS.render(recorded(event, command_id="c"), STATE)
    assert frame is not None
    assert frame.to is Reach.EVERYONE


@pytest.mark.parametrize("event", SHOWN + STREAMED, ids=name)
def test_the_envelope_tells_the_records_own_circumstances(event: Any) -> None:
    frame = rendered(event, command_id="c-1")
    assert list(frame) == ["type", "conversation_id", "timestamp", "payload", "seq", "command_id"]
    assert frame["conversation_id"] == "c1"
    assert frame["timestamp"] == "2025-01-03T00:00:00.000000+00:00"
    assert (frame["seq"], frame["command_id"]) == (7, "c-1")


def test_an_effects_own_command_id_is_not_shown() -> None:
    assert "command_id" not in rendered(SHOWN[0], command_id="effect-1", causation_id="conversation-c1@3")


def test_without_a_command_id_the_envelope_has_none() -> None:
    assert "command_id" not in rendered(SHOWN[0])


@pytest.mark.parametrize("phase", list(Phase))
def test_a_phase_says_who_is_active(phase: Phase) -> None:
    assert rendered(PhaseEntered(phase, Phase.IDLE))["payload"] == {
        "current_state": phase.value,
        "speech_recognition_active": phase is Phase.LISTENING,
        "speech_synthesis_active": phase is Phase.SPEAKING,
    }


def test_metadata_never_replaces_the_three() -> None:
    lies = {"current_state": "x", "speech_recognition_active": 1, "speech_synthesis_active": None, "seq": 9}
    frame = rendered(PhaseEntered(Phase.IDLE, Phase.ERROR, lies))
    assert frame["payload"] == {
        "current_state": "idle", "speech_recognition_active": False, "speech_synthesis_active": False, "seq": 9,
    }  # fmt: skip
    assert frame["seq"] == 7


def test_a_client_that_left_for_any_reason_is_disconnected() -> None:
    assert rendered(ClientLeft("b.1", 0, "slow"))["payload"] == {"status": "disconnected", "client_count": 0}


def test_what_json_cannot_say_never_gets_out() -> None:
    body = CONVERSATIONS.render(recorded(SpeechReported("x", {"a": float("nan"), "b": float("inf")})), STATE)
    assert body is not None
    assert json.loads(body.body)["payload"]["data"] == {"a": None, "b": None}


def test_only_the_end_is_a_farewell() -> None:
    assert not any(CONVERSATIONS.farewell(recorded(event), STATE) for event in NOT_SHOWN + STREAMED + SHOWN)
    ended = recorded(PhaseEntered(Phase.ENDED, Phase.IDLE))
    assert CONVERSATIONS.farewell(ended, STATE) == Close(1000, "Conversation ended")


@pytest.mark.parametrize(("query", "chosen"), [({}, "conversations"), ({"deltas": "true"}, "conversations+deltas")])
def test_the_query_chooses_the_dialect(query: dict[str, str], chosen: str) -> None:
    assert dialect_for(query).name == chosen
    assert dialect_for(query) is dialect_for(dict(query))
