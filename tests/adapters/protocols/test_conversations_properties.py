"""Whatever a client sends: one answer or one command, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.protocols.conversations import dialect_for
from core.conversation import (
    Conversation,
    Phase,
    PhaseEntered,
    ReportSpeech,
    RequestPhase,
    UpdateTranscript,
    conversation,
)
from core.dialect import Connection, Handshake, Tell, Write
from core.messages import Accepted
from tests.dialogues.conversations_stage import ConversationsStage

NAMES = st.sampled_from(
    [
        "interim_transcript",
        "final_transcript",
        "confidence",
        "state",
        "metadata",
        "event_type",
        "data",
        "command_id",
        "x",
    ]
)
TYPES = st.sampled_from(["transcript_update", "state_change_request", "speech_event", "heartbeat"])
ERRORS = {"invalid_json", "unknown_message_type", "validation_error", "invalid_state"}

anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.floats(0, 1),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
payloads: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    NAMES, anything | st.text() | st.sampled_from(list(Phase)) | st.just({}), max_size=5
)
frames = st.fixed_dictionaries(
    {"type": TYPES | anything, "payload": payloads | anything},
    optional={"command_id": st.text(min_size=1, max_size=130) | anything, "x": anything},
)


def fresh() -> ConversationsStage:
    stage = ConversationsStage("c1")
    stage.outside("POST /api/v2/conversations {}")
    stage.connect("A", "")
    stage.connect("B", "")
    for client in stage.clients.values():
        client.got.clear()
    return stage


def strict(body: bytes) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(body, parse_constant=refuse)


def answer(frame: str | bytes) -> Any:
    """The one thing that comes of a frame on an open connection: a command, or the frame written back."""
    connection: Connection = dialect_for({}).connect(Handshake("1.1", {"conversation_id": "c1"}, {}, "anonymous", "e"))
    _listen, join = connection.opened(1)
    assert isinstance(join, Tell)
    (joined,) = conversation.decide(Conversation(Phase.IDLE), join.command)  # type: ignore[misc]
    stage = fresh()
    record = msgspec.structs.replace(stage.actor("c1").records[-1], event=joined)
    connection.settled(join, Accepted((record,), Conversation(Phase.IDLE), 2), 2)
    (output,) = connection.received(frame, 3)
    assert isinstance(output, Tell | Write)
    return output if isinstance(output, Tell) else strict(output.body)


def is_an_error(answered: Any) -> bool:
    return not isinstance(answered, Tell) and answered["payload"].get("error_type") in ERRORS


@given(st.text(st.characters()) | st.binary())
def test_any_text_and_any_bytes_get_one_error(frame: str | bytes) -> None:
    assert is_an_error(answer(frame))


@given(anything.filter(lambda value: not isinstance(value, dict)))
def test_any_json_that_is_no_object_gets_one_error(value: Any) -> None:
    assert answer(json.dumps(value))["payload"]["error_type"] == "invalid_json"


@given(frames)
@settings(max_examples=400)
def test_any_frame_is_one_storable_command_or_one_answer(frame: dict[str, Any]) -> None:
    answered = answer(json.dumps(frame))
    if isinstance(answered, Tell):
        assert isinstance(answered.command, UpdateTranscript | RequestPhase | ReportSpeech)
        stored = msgspec.json.encode(answered.command)
        assert msgspec.json.decode(stored, type=type(answered.command)) == answered.command
        assert answered.command_id is None or 1 <= len(answered.command_id) <= 128
    else:
        assert is_an_error(answered) or (answered["type"], frame["type"]) == ("heartbeat_response", "heartbeat")


@given(st.lists(st.text() | st.binary() | frames.map(json.dumps), max_size=6))
def test_only_commands_change_anything_and_other_answers_are_for_the_sender_alone(sent: list[str | bytes]) -> None:
    stage = fresh()
    for frame in sent:
        for client in stage.clients.values():
            client.got.clear()
        before = list(stage.actor("c1").records)
        stage.send("A", frame)
        own, others = (
            [strict(body) for body in client.got if isinstance(body, bytes)] for client in stage.clients.values()
        )
        assert [message for message in own if "seq" in message] == others
        if len(own) != len(others):
            assert len(own) == 1
            assert stage.actor("c1").records == before
        assert not stage.clients["A"].gone or stage.actor("c1").state.phase is Phase.ENDED


@given(st.sampled_from(list(Phase)), st.dictionaries(st.text(max_size=30), anything, max_size=5))
def test_rendering_a_record_again_gives_the_same_strict_bytes(phase: Phase, metadata: dict[str, Any]) -> None:
    dialect = dialect_for({})
    record = msgspec.structs.replace(fresh().actor("c1").records[-1], event=PhaseEntered(phase, Phase.IDLE, metadata))
    first, second = (dialect.render(record, Conversation(phase)) for _ in range(2))
    assert first is not None
    assert first == second
    assert strict(first.body)["payload"]["current_state"] == phase


@given(st.lists(st.sampled_from("abc ") | st.just("final"), max_size=20))
def test_every_listener_holds_the_transcript_the_log_holds(words: list[str]) -> None:
    stage = fresh()
    for n, word in enumerate(words):
        field = "final_transcript" if n % 3 == 0 else "interim_transcript"
        stage.send("AB"[n % 2], json.dumps({"type": "transcript_update", "payload": {field: word}}))
    state = stage.actor("c1").state
    for client in stage.clients.values():
        got = [strict(body) for body in client.got if isinstance(body, bytes)]
        assert [frame["seq"] for frame in got] == list(range(4, 4 + len(words)))
        if got:
            last = got[-1]["payload"]
            assert (last["accumulated_transcript"], last["interim_transcript"]) == (state.transcript, state.interim)


@given(st.integers(0, 12), st.lists(st.sampled_from(list(Phase)), max_size=10))
def test_resuming_shows_exactly_what_was_missed(since: int, wanted: list[Phase]) -> None:
    stage = fresh()
    for phase in wanted:
        if phase is not Phase.ENDED:
            stage.send("A", json.dumps({"type": "state_change_request", "payload": {"state": phase}}))
    live = [strict(body) for body in stage.clients["A"].got if isinstance(body, bytes)]
    version = len(stage.actor("c1").records) + 1
    stage.connect("C", f"?since={since}&epoch={stage.epoch}")
    greeting, *missed = [strict(body) for body in stage.clients["C"].got if isinstance(body, bytes)]
    assert greeting["recovered"] is (since <= version)
    if since <= version:
        phases = [frame for frame in missed if frame["type"] == "state_update"]
        assert phases == [frame for frame in live if frame["seq"] > since]
        assert [frame["seq"] for frame in missed] == sorted({frame["seq"] for frame in missed})
