from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from adapters.protocols.conversations import CONVERSATIONS
from adapters.protocols.conversations.connection import (
    MAX_HELD_CHARACTERS,
    MAX_HELD_COMMANDS,
    ConversationsConnection,
)
from core.conversation import (
    ClientJoined,
    ClientLeft,
    Conversation,
    FinalHeard,
    JoinClient,
    LeaveClient,
    Phase,
    ReportSpeech,
    UpdateTranscript,
)
from core.decider import Rejected
from core.dialect import Close, Handshake, Hear, Listen, Output, Recall, Tell, Write
from core.identifiers import StreamName
from core.messages import Accepted, Busy, Outcome, Recorded, Refused, Stamp, Unavailable

STREAM = StreamName("conversation-c1")
STATE = Conversation(Phase.IDLE, clients=("b.1",))
JOINED = Recorded(9, STREAM, 5, ClientJoined("b.1", 1), Stamp("k", 7))
JOIN = Tell(STREAM, JoinClient("b.1"))
LEAVE = Tell(STREAM, LeaveClient("b.1"))
WELCOME = Accepted((JOINED,), STATE, 5)
OVER = Conversation(Phase.ENDED)
ENDED = Rejected("conversation_ended", "The conversation has ended")


def connected(conversation_id: str = "c1", **query: str) -> ConversationsConnection:
    path = {"conversation_id": conversation_id}
    return CONVERSATIONS.connect(Handshake("b.1", path, query, "anonymous", "e1"))


def opened(**query: str) -> ConversationsConnection:
    connection = connected(**query)
    assert connection.opened(1) == (Listen(STREAM), JOIN)
    return connection


def talking() -> ConversationsConnection:
    connection = opened()
    connection.settled(JOIN, WELCOME, 2)
    return connection


def frames(outputs: Sequence[Output]) -> list[Any]:
    return [json.loads(output.body) for output in outputs if isinstance(output, Write)]


def said(outputs: Sequence[Output]) -> list[str]:
    """The frames' types, errors by their own type, and closes by their code."""
    kinds = []
    for output in outputs:
        match output:
            case Write(body):
                frame = json.loads(body)
                kinds.append(frame["payload"].get("error_type", frame["type"]))
            case Close(code):
                kinds.append(str(code))
            case _:
                kinds.append(type(output).__name__)
    return kinds


def speech(n: int, size: int = 0) -> str:
    return json.dumps(
        {"type": "speech_event", "payload": {"event_type": f"{n}" + "x" * size, "data": {}}, "command_id": f"c{n}"}
    )


# --- joining ---


def test_the_greeting_is_followed_by_the_own_status_and_then_the_audience() -> None:
    outputs = opened().settled(JOIN, WELCOME, 2)
    assert said(outputs) == ["state_update", "connection_status", "Hear"]
    assert outputs[-1] == Hear(STREAM, STATE, 5)
    greeting, status = frames(outputs)
    assert (greeting["seq"], greeting["epoch"], greeting["recovered"]) == (5, "e1", False)
    assert status["seq"] == 5


def test_devices_lost_in_a_restart_are_no_news_to_a_newcomer() -> None:
    lost = Recorded(8, STREAM, 4, ClientLeft("a.1", 0, "server_restarted"), Stamp("k", 7))
    outputs = opened().settled(JOIN, Accepted((lost, JOINED), STATE, 5), 2)
    assert [frame["payload"].get("status") for frame in frames(outputs)] == [None, "connected"]


def test_a_resume_recalls_up_to_the_join_and_hears_what_comes_after() -> None:
    connection = opened(since="3", epoch="e1")
    assert connection.settled(JOIN, WELCOME, 2) == (Recall(STREAM, 3, 5), Hear(STREAM, STATE, 5))
    (greeting,) = frames(connection.recalled(STREAM, replace(STATE, transcript="then"), 3, 2))
    assert (greeting["seq"], greeting["recovered"]) == (3, True)
    assert greeting["payload"]["transcript"]["final_transcript"] == "then"


@pytest.mark.parametrize("since", ["0", "5", "005"])
def test_a_version_from_none_to_the_joins_own_can_be_resumed_from(since: str) -> None:
    assert said(opened(since=since, epoch="e1").settled(JOIN, WELCOME, 2)) == ["Recall", "Hear"]


@pytest.mark.parametrize("since", ["6", "-1", "+3", " 3", "3.0", "٣", "", "x", "9" * 5000])
def test_any_other_since_gets_a_fresh_snapshot(since: str) -> None:
    outputs = opened(since=since, epoch="e1").settled(JOIN, WELCOME, 2)
    assert frames(outputs)[0]["recovered"] is False
    assert not any(isinstance(output, Recall) for output in outputs)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Refused(Rejected("conversation_not_found", "none")), ["conversation_not_found", "1008"]),
        (Accepted((JOINED,), replace(STATE, created_via="legacy"), 5), ["conversation_not_found", "1008"]),
        (Accepted((), OVER, 6), ["state_update", "1000"]),
        (Refused(Rejected("busy", "full", 60.0)), ["busy", "1013"]),
        (Refused(Rejected("poisoned", "crashed")), ["message_handling_error", "1011"]),
        (Refused(Rejected("unheard_of", "?")), ["message_handling_error", "1011"]),
        (Busy(3.0), ["busy", "1013"]),
        (Unavailable("disk full", 3.0), ["busy", "1013"]),
    ],
)
def test_who_cannot_join_is_told_why_and_closed_for_good(outcome: Outcome, expected: list[str]) -> None:
    connection = opened()
    connection.received(speech(1), 1)
    assert said(connection.settled(JOIN, outcome, 2)) == expected
    assert connection.received(speech(2), 3) == ()
    assert connection.throttled(1.0, 3) == ()


def test_a_busy_join_says_when_to_come_back_and_nothing_of_the_inside() -> None:
    (error,) = frames(opened().settled(JOIN, Unavailable("disk full at /x", 3.0), 2))
    assert error["payload"]["retry_after"] == 3.0
    assert "/x" not in error["payload"]["message"]


def test_an_ended_conversation_greets_with_its_last_version() -> None:
    (greeting,) = frames(opened().settled(JOIN, Accepted((), OVER, 6), 2))
    assert (greeting["seq"], greeting["epoch"], greeting["recovered"]) == (6, "e1", False)


def test_who_resumes_what_has_ended_meanwhile_is_shown_all_up_to_the_end_and_closed() -> None:
    connection = opened(since="4", epoch="e1")
    outputs = connection.settled(JOIN, Accepted((), OVER, 6), 2)
    assert outputs == (Recall(STREAM, 4, 6), Close(1000, "Conversation ended"))
    (greeting,) = frames(connection.recalled(STREAM, STATE, 4, 3))
    assert (greeting["seq"], greeting["recovered"]) == (4, True)
    assert connection.closed(4) == (), "it never joined"


@pytest.mark.parametrize("conversation_id", ["", "a b", "x" * 129, "a\nb", "\x00"])
def test_an_id_that_cannot_be_is_not_found_without_asking_anybody(conversation_id: str) -> None:
    connection = connected(conversation_id)
    assert said(connection.opened(1)) == ["conversation_not_found", "1008"]
    assert connection.received(speech(1), 1) == ()
    assert connection.closed(2) == ()


def test_an_id_that_no_text_can_hold_does_no_harm() -> None:
    connection = connected("\ud800")
    connection.opened(1)
    assert said(connection.settled(JOIN, Refused(Rejected("conversation_not_found", "none")), 2))[-1] == "1008"


# --- before the join has settled ---


def test_what_comes_before_the_greeting_is_done_behind_it_in_order() -> None:
    connection = opened()
    for frame in (speech(1), '{"type": "heartbeat"}', "nonsense", speech(2)):
        assert connection.received(frame, 1) == ()
    assert connection.throttled(1.0, 1) == ()
    outputs = connection.settled(JOIN, WELCOME, 2)
    assert said(outputs)[2:] == ["Hear", "Tell", "heartbeat_response", "invalid_json", "Tell", "rate_limited"]
    assert [tell.command for tell in outputs if isinstance(tell, Tell)] == [ReportSpeech("1"), ReportSpeech("2")]


def test_it_is_done_once() -> None:
    connection = opened()
    connection.received(speech(1), 1)
    connection.settled(JOIN, WELCOME, 2)
    assert connection.received(speech(2), 3) == (Tell(STREAM, ReportSpeech("2"), "c2"),)


def test_commands_beyond_the_limit_are_answered_busy_by_their_own_id() -> None:
    connection = opened()
    for n in range(MAX_HELD_COMMANDS + 2):
        connection.received(speech(n), 1)
    outputs = connection.settled(JOIN, WELCOME, 2)
    assert said(outputs).count("Tell") == MAX_HELD_COMMANDS
    refused = [frame for frame in frames(outputs) if frame["type"] == "error"]
    assert [(frame["payload"]["error_type"], frame["command_id"]) for frame in refused] == [
        ("busy", f"c{MAX_HELD_COMMANDS}"),
        ("busy", f"c{MAX_HELD_COMMANDS + 1}"),
    ]
    assert all(frame["payload"]["retry_after"] > 0 for frame in refused)


def test_long_commands_are_held_by_their_length_but_for_the_first() -> None:
    connection = opened()
    connection.received(speech(1, MAX_HELD_CHARACTERS), 1)
    connection.received(speech(2), 1)
    outputs = connection.settled(JOIN, WELCOME, 2)
    assert said(outputs)[3:] == ["Tell", "busy"]


# --- talking ---


def test_every_command_settled_as_accepted_is_left_to_the_audience() -> None:
    tell = Tell(STREAM, UpdateTranscript(final="a"), "c1")
    record = Recorded(10, STREAM, 6, FinalHeard("a"), Stamp("k", 7, "c1"))
    assert talking().settled(tell, Accepted((record,), STATE, 6), 3) == ()


def test_a_repeated_command_is_answered_without_a_version_to_resume_behind() -> None:
    tell = Tell(STREAM, UpdateTranscript(final="a"), "c1")
    record = Recorded(10, STREAM, 6, FinalHeard("a", 0.5), Stamp("k", 7, "c1"))
    now = replace(STATE, transcript="a b", interim="c")
    (frame,) = frames(talking().settled(tell, Accepted((record,), now, 9, repeated=True), 3))
    assert frame["payload"] == {"interim_transcript": "c", "accumulated_transcript": "a b", "confidence": 0.5}
    assert (frame["repeated"], frame["command_id"]) == (True, "c1")
    assert "seq" not in frame


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Refused(Rejected("illegal_transition", "no")), []),
        (Refused(Rejected("too_long", "no")), ["validation_error"]),
        (Refused(Rejected("busy", "no", 1.0)), ["busy"]),
        (Refused(Rejected("poisoned", "no")), ["message_handling_error"]),
        (Refused(Rejected("unheard_of", "no")), ["message_handling_error"]),
        (Busy(2.0), ["busy"]),
        (Unavailable("disk full", 2.0), ["busy"]),
        (Refused(ENDED), ["state_update", "1000"]),
        (Refused(Rejected("conversation_not_found", "no")), ["conversation_not_found", "1008"]),
    ],
)
def test_a_command_that_was_not_done_is_answered(outcome: Outcome, expected: list[str]) -> None:
    connection = talking()
    outputs = connection.settled(Tell(STREAM, ReportSpeech("x"), "c1"), outcome, 3)
    assert said(outputs) == expected
    stays_open = not any(isinstance(output, Close) for output in outputs)
    assert bool(connection.received(speech(2), 4)) is stays_open


@pytest.mark.parametrize("outcome", [Busy(2.0), Unavailable("x", 2.0), Refused(Rejected("busy", "no", 2.0))])
def test_who_may_try_again_is_told_when_and_for_which_command(outcome: Outcome) -> None:
    (error,) = frames(talking().settled(Tell(STREAM, ReportSpeech("x"), "c1"), outcome, 3))
    assert error["payload"]["retry_after"] == 2.0
    assert error["command_id"] == "c1"
    assert "repeated" not in error


def test_a_refusal_repeated_says_so() -> None:
    refused = Refused(Rejected("too_long", "no"), repeated=True)
    (error,) = frames(talking().settled(Tell(STREAM, ReportSpeech("x"), "c1"), refused, 3))
    assert error["repeated"] is True


# --- the end ---


def test_one_who_joined_leaves() -> None:
    assert talking().closed(3) == (LEAVE,)


def test_one_who_goes_before_the_join_settles_leaves_too_and_is_not_greeted() -> None:
    connection = opened()
    assert connection.closed(2) == (LEAVE,)
    assert connection.settled(JOIN, WELCOME, 3) == ()


@pytest.mark.parametrize("outcome", [Busy(), Refused(ENDED)])
def test_one_who_surely_did_not_join_does_not_leave(outcome: Outcome) -> None:
    connection = opened()
    connection.settled(JOIN, outcome, 2)
    assert connection.closed(3) == ()


@pytest.mark.parametrize(
    "outcome", [Unavailable("who knows"), Accepted((JOINED,), replace(STATE, created_via="legacy"), 5)]
)
def test_one_who_may_have_joined_leaves(outcome: Outcome) -> None:
    connection = opened()
    connection.settled(JOIN, outcome, 2)
    assert connection.closed(3) == (LEAVE,)


@pytest.mark.parametrize("outcome", [Accepted((), STATE, 6), Refused(ENDED), Busy(), Unavailable("x")])
def test_nobody_is_told_what_became_of_the_leaving(outcome: Outcome) -> None:
    connection = talking()
    connection.closed(3)
    assert connection.settled(LEAVE, outcome, 4) == ()


def test_a_client_that_floods_before_it_is_greeted_is_closed() -> None:
    connection = opened()
    outputs = [output for n in range(3000) for output in connection.received("{}", n)]
    assert outputs == [Close(4008, "too much at once; come back with since")]
    assert connection.settled(JOIN, WELCOME, 1) == ()
    assert connection.closed(2) == (Tell(STREAM, LeaveClient("b.1")),)
