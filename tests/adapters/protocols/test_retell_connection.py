"""What the dialogues do not say."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import json

from adapters.protocols.retell import RetellDialect, Tally
from adapters.protocols.retell.connection import RetellConnection
from adapters.protocols.retell.hearing import Hearing
from core.call import (
    Call,
    ConnectSocket,
    DescribeCall,
    DisconnectSocket,
    GreetingGiven,
    NoteUnknown,
    RequireResponse,
    ResponseCompleted,
    ResponseFailed,
    ResponsePieceAdded,
    Speaker,
    ToolRequested,
    ToolSucceeded,
    UpdateTranscript,
    Utterance,
    call,
)
from core.decider import Rejected
from core.dialect import Close, Handshake, Listen, Tell, Write
from core.identifiers import Category, StreamName
from core.messages import Accepted, Busy, Outcome, Refused, Unavailable

STREAM = StreamName.of(Category.CALL, "c1")


def connected(tally: Tally | None = None) -> RetellConnection:
    handshake = Handshake("b.1", {"call_id": "c1"}, {}, "anonymous", "e")
    connection = RetellDialect(tally or Tally()).connect(handshake)
    connection.opened(1_000_000)
    return connection


def test_the_configuration_comes_before_anything_else() -> None:
    handshake = Handshake("b.1", {"call_id": "c1"}, {}, "anonymous", "e")
    config, listen, tell = RetellDialect().connect(handshake).opened(5)
    assert config == Write(b'{"response_type":"config","config":{"auto_reconnect":true,"call_details":true}}')
    assert (listen, tell) == (Listen(STREAM), Tell(STREAM, ConnectSocket("b.1", 5)))


def test_each_request_is_told_as_its_command() -> None:
    said = [{"role": "agent", "content": "Hi", "words": [], "more": 1}, {"role": "user", "content": "Yes"}]
    transcript = (Utterance(Speaker.AGENT, "Hi"), Utterance(Speaker.USER, "Yes"))
    told: dict[str, tuple[dict[str, Any], Any]] = {
        "call_details": ({"call": {"call_id": "c1", "x": [None]}}, DescribeCall({"call_id": "c1", "x": [None]})),
        "update_only": ({"transcript": said, "turntaking": "user_turn"}, UpdateTranscript(transcript, "user_turn")),
        "response_required": ({"response_id": 3, "transcript": said}, RequireResponse(3, transcript)),
        "reminder_required": ({"response_id": 4, "transcript": said}, RequireResponse(4, transcript, reminder=True)),
    }
    for kind, (fields, command) in told.items():
        frame = json.encode({"interaction_type": kind, **fields}).decode()
        assert connected().received(frame, 2) == (Tell(STREAM, command),)


@pytest.mark.parametrize(
    "frame, noted, of",
    [
        ('{"interaction_type": "telepathy"}', "telepathy", "unknown interaction_type"),
        ('{"interaction_type": "ping_pong"}', "ping_pong", "missing required field `timestamp`"),
        ("[1]", "", "Expected `object`, got `array`"),
        ('{"interaction_type": null}', "", "`interaction_type`"),
        ("[" * 100_000, "", "nested too deeply"),
    ],
)
def test_what_is_not_understood_is_told_to_be_recorded(frame: str, noted: str, of: str) -> None:
    (tell,) = connected().received(frame, 2)
    assert isinstance(tell, Tell)
    assert isinstance(tell.command, NoteUnknown)
    assert tell.command.interaction_type == noted
    assert of in tell.command.reason


def test_what_comes_is_counted_by_its_type_and_the_time_a_socket_was_open() -> None:
    tally = Tally()
    connection = connected(tally)
    for frame in ('{"interaction_type":"ping_pong","timestamp":1}', '{"interaction_type":"x"}', '{"a":1}'):
        connection.received(frame, 2)
    assert connection.closed(3_500_000) == (Tell(STREAM, DisconnectSocket("b.1", 3_500_000)),)
    assert tally.interactions == {"ping_pong": 1, "unknown": 2}
    assert (tally.sockets, tally.seconds) == (1, 2.5)


@pytest.mark.parametrize(
    "outcome, outputs",
    [
        (Refused(Rejected("call_ended", "")), (Close(1000, "The call has ended"),)),
        (Refused(Rejected("poisoned", "")), (Close(1011, "Server error"),)),
        (Busy(), (Close(1011, "Server error"),)),
        (Unavailable("disk"), (Close(1011, "Server error"),)),
    ],
)
def test_a_socket_that_cannot_become_the_calls_is_closed(outcome: Outcome, outputs: tuple[Close]) -> None:
    assert connected().settled(Tell(STREAM, ConnectSocket("b.1", 1)), outcome, 2) == outputs


def test_who_is_not_the_calls_socket_any_more_is_told_nothing() -> None:
    tell = Tell(STREAM, RequireResponse(1, ()))
    for code in ("not_connected", "call_ended"):
        assert connected().settled(tell, Refused(Rejected(code, "")), 2) == ()
    assert connected().settled(tell, Accepted((), Call(), 1), 2) == ()


@pytest.mark.parametrize(
    ("answer", "content"),
    [
        (ResponseCompleted(1, " drops.", "The wind drops."), b"The wind drops."),
        (ResponseFailed(1, "it stalled", "Sorry.", "The wind"), b"The wind Sorry."),
        (ResponseFailed(1, "it stalled", "Sorry.", ""), b"Sorry."),
    ],
)
def test_an_answer_that_was_lost_is_given_again_whole_and_once(answer: Any, content: bytes) -> None:
    connection, tell = connected(), Tell(STREAM, RequireResponse(1, ()))
    again = Accepted((), call.fold(Call(), [answer]), 9)
    (write,) = connection.settled(tell, again, 2)
    assert isinstance(write, Write)
    assert b'"content":"%s","content_complete":true' % content in write.body
    assert connection.settled(tell, again, 3) == ()


def test_no_part_of_an_answer_leaves_beside_its_being_given_again() -> None:
    hearing = Hearing()
    hearing.require(1)
    assert hearing.gives_again(1)
    assert not hearing.lets_pass(ResponseCompleted(1, " drops.", "The wind drops."))


def test_what_this_socket_heard_is_not_given_again_to_it() -> None:
    hearing = Hearing()
    hearing.require(1)
    assert hearing.lets_pass(ResponsePieceAdded(1, 1, 0, "The wind"))
    assert not hearing.gives_again(1)
    hearing.require(2)
    assert not hearing.gives_again(1)


def test_an_answer_that_could_not_be_asked_for_is_given_up_once_and_not_where_a_newer_one_was() -> None:
    connection = connected()
    for number in (1, 2):
        frame: Any = {"interaction_type": "response_required", "response_id": number, "transcript": []}
        connection.received(json.encode(frame).decode(), 2)
    assert connection.settled(Tell(STREAM, RequireResponse(1, ())), Busy(), 3) == ()
    assert len(connection.settled(Tell(STREAM, RequireResponse(2, ())), Busy(), 3)) == 1
    assert connection.settled(Tell(STREAM, RequireResponse(2, ())), Busy(), 3) == ()


def test_a_result_is_shown_where_its_call_was() -> None:
    hearing = Hearing()
    hearing.require(1)
    assert hearing.lets_pass(ToolRequested("t1", "a", "{}", 1))
    hearing.require(2)
    assert not hearing.lets_pass(ToolRequested("t2", "a", "{}", 1))
    assert hearing.lets_pass(ToolSucceeded("t1", "x"))
    assert not hearing.lets_pass(ToolSucceeded("t2", "x"))
    assert not hearing.lets_pass(ToolSucceeded("t1", "x"))


def test_a_dialect_nobody_is_connected_by_shows_the_log_as_it_is() -> None:
    hearing = Hearing()
    assert hearing.lets_pass(GreetingGiven("Hi."))
    assert hearing.lets_pass(ResponsePieceAdded(3, 1, 0, "x"))
    assert hearing.lets_pass(ResponsePieceAdded(1, 1, 0, "x"))


def test_a_call_id_is_no_lone_surrogate() -> None:
    connection = RetellDialect().connect(Handshake("b.1", {"call_id": "a\udc80"}, {}, "anonymous", "e"))
    (_, _, tell) = connection.opened(5)
    assert isinstance(tell, Tell)
    assert tell.stream.encode() == b"call-a?"
