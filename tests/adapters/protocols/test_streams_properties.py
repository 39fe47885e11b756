"""Whatever a client sends: an answer, or one command whose bytes come with it, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.protocols.streams import dialect_for
from core.decider import Rejected
from core.dialect import Close, Connection, Handshake, Hear, Listen, Recall, Tell, Tune, Write
from core.identifiers import Category, StreamName
from core.messages import Accepted, Busy, Recorded, Refused, Stamp, Unavailable
from core.session import (
    Chat,
    JoinDevice,
    LeaveDevice,
    Media,
    MediaKind,
    MediaReceived,
    OpenSession,
    ReceiveMedia,
    RequestTranscription,
    Session,
    session,
)
from eventstore.codec import commands, events
from tests.dialogues.streams_stage import StreamsStage

STREAM = StreamName.of(Category.SESSION, "s1")
TYPES = st.sampled_from(
    [
        "ping", "test", "chat", "audio", "video", "transcription_request", "webrtc_offer", "webrtc_answer",
        "webrtc_ice_candidate", "webrtc_state",
    ]
)  # fmt: skip
FIELDS = st.sampled_from(
    [
        "message",
        "data",
        "state",
        "to",
        "command_id",
        "session_id",
        "timestamp",
        "seq",
        "sdp",
        "candidate",
        "from",
        "epoch",
    ]
)

anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
texts = st.text() | st.binary().map(lambda body: base64.b64encode(body).decode()) | st.just("connected")
frames = st.builds(
    lambda fields, kind: {**fields, "type": kind},
    st.dictionaries(FIELDS, anything | texts, max_size=5),
    TYPES | anything,
)


def joining(query: dict[str, str] | None = None) -> Connection:
    return dialect_for({}).connect(Handshake("1.1", {"session_id": "s1"}, query or {}, "anonymous", "e"))


JOINED = Accepted((), Session("everybody", opened_via="streams", devices=("1.1",)), 2)
JOIN = Tell(STREAM, JoinDevice("1.1", "everybody", "streams", 1))


def joined() -> Connection:
    connection = joining()
    connection.opened(1)
    connection.settled(JOIN, JOINED, 2)
    return connection


def strict(body: bytes) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(body, parse_constant=refuse)


def check(frame: str | bytes) -> None:
    match joined().received(frame, 3_000_000):
        case [Tell(stream, command, _, blob)]:
            assert stream == STREAM
            named = command.media if isinstance(command, ReceiveMedia | RequestTranscription) else None
            assert (named is None) == (blob is None)
            if named is not None and blob is not None:
                assert (named.digest, named.size) == (hashlib.sha256(blob).hexdigest(), len(blob))
            assert commands.decode(*commands.encode(command)) == command
            decided = session.decide(JOINED.state, command)
            for event in decided if isinstance(decided, tuple) else ():
                assert events.decode(*events.encode(event)) == event
        case [*outputs]:
            kinds = [strict(output.body)["type"] for output in outputs if isinstance(output, Write)]
            assert len(kinds) == len(outputs)
            assert kinds in (
                ["pong"],
                ["test_response"],
                ["error"],
                ["transcription_error"],
                ["unknown_message", "error"],
            )


@given(frames)
def test_an_object_is_answered_or_asks_for_one_thing(frame: dict[str, Any]) -> None:
    check(json.dumps(frame))


@given(st.text() | st.binary() | anything.map(json.dumps))
def test_anything_else_is_answered_too(frame: str | bytes) -> None:
    check(frame)


@given(frames)
def test_what_others_are_shown_is_strict_json_in_the_envelope(frame: dict[str, Any]) -> None:
    stage = StreamsStage("s1")
    for who in "AB":
        stage.connect(who, "")
    for client in stage.clients.values():
        client.got.clear()
    stage.send("A", json.dumps(frame))
    for client in stage.clients.values():
        for body in client.got:
            assert isinstance(body, bytes)
            shown = strict(body)
            assert shown["session_id"] == "s1"
            assert type(shown["timestamp"]) is int
            assert shown.get("from", "1.1") == "1.1"
            assert "recovered" not in shown


@given(st.binary(min_size=1), st.sampled_from(list(MediaKind)))
def test_bytes_come_with_the_command_that_names_them(body: bytes, kind: MediaKind) -> None:
    frame = {"type": kind, "data": base64.b64encode(body).decode()}
    (tell,) = joined().received(json.dumps(frame), 3)
    assert isinstance(tell, Tell)
    assert tell.blob == body
    assert tell.command.kind is kind


def test_the_media_type_is_the_data_urls_or_what_the_bytes_say() -> None:
    def media_type_of(data: str) -> str:
        (tell,) = joined().received(json.dumps({"type": "audio", "data": data}), 3)
        assert isinstance(tell, Tell)
        return str(tell.command.media.media_type)

    assert media_type_of("data:audio/webm;codecs=opus;base64,AAAA") == "audio/webm"
    assert media_type_of(base64.b64encode(b"ID3\4").decode()) == "audio/mpeg"
    assert media_type_of("AAAA") == "application/octet-stream"


# --- before the join has settled ---


def test_what_is_sent_before_the_join_waits_behind_the_greeting_in_its_order() -> None:
    connection = joining()
    assert [type(output) for output in connection.opened(1)] == [Listen, Tell, Tell]
    for text in ('{"type": "ping"}', "nonsense", '{"type": "chat", "message": "x"}'):
        assert connection.received(text, 2) == ()
    opened = connection.settled(Tell(STREAM, OpenSession("everybody", "streams", 1)), Accepted((), Session(), 1), 3)
    assert opened == ()
    greeting, *later = connection.settled(JOIN, JOINED, 3)
    assert isinstance(greeting, Write)
    assert strict(greeting.body)["type"] == "connection_established"
    assert [type(output) for output in later] == [Hear, Tune, Write, Write, Tell]


@pytest.mark.parametrize("command", [Chat("hello", 3), RequestTranscription(3)])
def test_a_refusal_that_passes_says_when_to_come_back(command: Any) -> None:
    connection = joining()
    connection.opened(1)
    connection.settled(JOIN, JOINED, 3)
    refused = Refused(Rejected("busy", "32 requests are waiting for their answer", retry_after=1.5))
    (answer,) = connection.settled(Tell(STREAM, command), refused, 4)
    assert isinstance(answer, Write)
    assert strict(answer.body)["retry_after"] == 1.5


def test_a_session_that_is_full_says_when_to_come_back() -> None:
    refused = Refused(Rejected("busy", "10000 connections share this session already", retry_after=60.0))
    told, close = joining().settled(JOIN, refused, 3)
    assert isinstance(told, Write)
    assert strict(told.body)["retry_after"] == 60.0
    assert close == Close(1013, "Try again later")


def test_a_resume_is_told_by_the_log() -> None:
    connection = joining({"since": "1", "epoch": "e"})
    connection.opened(1)
    first, *later = connection.settled(JOIN, JOINED, 3)
    assert first == Recall(STREAM, 1, 2)
    assert [type(output) for output in later] == [Hear, Tune]


@pytest.mark.parametrize(
    ("frame", "most"), [('{"type": "ping"}', 1024), ('{"type": "x", "a": "' + "x" * 8_000_000 + '"}', 2)]
)
def test_who_floods_before_the_join_is_closed(frame: str, most: int) -> None:
    connection = joining()
    connection.opened(1)
    assert [connection.received(frame, 2) for _ in range(most)] == [()] * most
    (close,) = connection.received(frame, 2)
    assert isinstance(close, Close)
    assert close.code == 4008
    assert connection.received(frame, 2) == ()
    assert connection.throttled(1.0, 2) == ()
    assert connection.settled(JOIN, JOINED, 3) == ()


@pytest.mark.parametrize("outcome", [Busy(1.0), Unavailable("no disk")])
def test_a_session_that_cannot_be_opened_turns_away_once(outcome: Busy | Unavailable) -> None:
    connection = joining()
    connection.opened(1)
    outputs = connection.settled(Tell(STREAM, OpenSession("everybody", "streams", 1)), outcome, 2)
    assert outputs[-1] == Close(1013, "Try again later")
    assert connection.settled(JOIN, JOINED, 3) == ()
    assert connection.closed(4) == (Tell(STREAM, LeaveDevice("1.1", 4)),)


def test_an_id_that_can_be_none_is_not_left_either() -> None:
    connection = dialect_for({}).connect(Handshake("1.1", {"session_id": "x" * 129}, {}, "anonymous", "e"))
    connection.opened(1)
    assert connection.closed(2) == ()


def test_lone_surrogates_in_a_path_harm_nobody() -> None:
    connection = dialect_for({}).connect(Handshake("1.1", {"session_id": "\udcff"}, {}, "anonymous", "e"))
    assert connection.opened(1)


# --- what is shown ---


def test_a_record_is_the_same_bytes_every_time() -> None:
    media = Media("0" * 64, 1, "audio/wav")
    record = Recorded(9, STREAM, 4, MediaReceived(MediaKind.AUDIO, media, 1), Stamp("c", 5_000_000, origin="1.1"))
    dialect = dialect_for({})
    frame = dialect.render(record, JOINED.state)
    assert frame == dialect.render(record, None)
    assert frame is not None
    assert strict(frame.body) == {"type": "audio_received", "session_id": "s1", "timestamp": 5000, "seq": 4}
