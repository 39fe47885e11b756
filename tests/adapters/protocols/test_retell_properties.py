"""Whatever the platform sends, and whatever was recorded: the contract's frames, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.protocols.retell import RetellDialect, Tally
from core.call import (
    AgentAdjusted,
    CallerInterrupted,
    DescribeCall,
    GreetingGiven,
    MetadataShown,
    NoteUnknown,
    RequireResponse,
    ResponseCompleted,
    ResponseFailed,
    ResponsePieceAdded,
    ResponseRequired,
    ToolFailed,
    ToolRequested,
    ToolSucceeded,
    UpdateTranscript,
)
from core.dialect import Close, Handshake, Output, Tell, Write
from core.identifiers import Category, StreamName
from core.messages import Recorded, Stamp
from tests.dialogues.playing import strict
from tests.dialogues.retell_stage import RetellStage

STREAM = StreamName.of(Category.CALL, "c1")
TYPES = ["ping_pong", "call_details", "update_only", "response_required", "reminder_required"]
FIELDS = {
    "config": {"config"},
    "ping_pong": {"timestamp"},
    "response": {
        "response_id", "content", "content_complete", "end_call", "no_interruption_allowed", "transfer_number",
        "digit_to_press",
    },
    "tool_call_invocation": {"tool_call_id", "name", "arguments"},
    "tool_call_result": {"tool_call_id", "content", "successful"},
    "metadata": {"metadata"},
    "agent_interrupt": {"interrupt_id", "content", "content_complete"},
    "update_agent": {"agent_config"},
}  # fmt: skip

anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
utterances = st.fixed_dictionaries({"role": st.sampled_from(["agent", "user"]), "content": st.text(max_size=20)})
frames = st.fixed_dictionaries(
    {"interaction_type": st.sampled_from(TYPES) | st.sampled_from(TYPES) | anything},
    optional={
        "timestamp": st.integers(0, 2**53) | anything,
        "call": st.dictionaries(st.text(max_size=5), anything, max_size=3) | anything,
        "response_id": st.integers(0, 9) | st.integers(0, 9) | anything,
        "transcript": st.lists(utterances, max_size=4) | anything,
        "turntaking": st.sampled_from(["user_turn", "agent_turn"]) | anything,
        "x": anything,
    },
)
texts = st.text(max_size=30)
objects = st.dictionaries(st.text(max_size=8), anything, max_size=4)
options: Any = {"transfer_number": st.none() | texts, "digit_to_press": st.none() | texts, "end_call": st.booleans()}
events = st.one_of(
    st.builds(GreetingGiven, texts),
    st.builds(ResponsePieceAdded, st.integers(0, 9), st.just(1), st.just(0), texts),
    st.builds(ResponseCompleted, st.integers(0, 9), texts, texts, **options),
    st.builds(ResponseFailed, st.integers(0, 9), texts, texts, texts),
    st.builds(ToolRequested, texts, texts, texts, st.integers(0, 9)),
    st.builds(ToolSucceeded, texts, texts),
    st.builds(ToolFailed, texts, texts),
    st.builds(MetadataShown, objects),
    st.builds(CallerInterrupted, st.integers(), texts),
    st.builds(AgentAdjusted, objects),
    st.builds(ResponseRequired, st.integers(0, 9), st.booleans()),
)


def outputs_of(frame: str | bytes) -> tuple[Output, ...]:
    connection = RetellDialect(Tally()).connect(Handshake("b.1", {"call_id": "c1"}, {}, "anonymous", "e"))
    connection.opened(1)
    return tuple(connection.received(frame, 2))


def is_of_the_contract(body: bytes) -> bool:
    frame: Any = strict(body)
    return (
        frame.keys() - {"response_type"} <= FIELDS[frame["response_type"]]
        and None not in frame.values()
        and json.dumps(frame).count("null") == json.dumps(_without_nulls(frame)).count("null")
    )


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [_without_nulls(inner) for inner in value if inner is not None] if isinstance(value, list) else value


@given(st.text(st.characters()))
def test_any_text_is_noted_or_closes_with_1011(frame: str) -> None:
    (output,) = outputs_of(frame)
    try:
        json.loads(frame)
    except ValueError:
        assert output == Close(1011, "Server error")
    else:
        assert isinstance(output, Tell | Close)


@given(st.binary())
def test_any_bytes_close_with_1007(frame: bytes) -> None:
    (output,) = outputs_of(frame)
    assert isinstance(output, Close)
    assert output.code == 1007


@given(anything.filter(lambda value: not isinstance(value, dict)))
def test_any_json_that_is_no_object_is_noted(value: Any) -> None:
    (output,) = outputs_of(json.dumps(value))
    assert isinstance(output, Tell)
    assert isinstance(output.command, NoteUnknown)


@given(frames)
@settings(max_examples=400)
def test_any_frame_is_one_storable_command_or_a_pong(frame: dict[str, Any]) -> None:
    (output,) = outputs_of(json.dumps(frame))
    if isinstance(output, Tell):
        assert isinstance(output.command, DescribeCall | UpdateTranscript | RequireResponse | NoteUnknown)
        stored = msgspec.json.encode(output.command)
        assert msgspec.json.decode(stored, type=type(output.command)) == output.command
    else:
        assert isinstance(output, Write)
        assert strict(output.body) == {"response_type": "ping_pong", "timestamp": frame["timestamp"]}


@given(st.lists(st.text() | frames.map(json.dumps), max_size=8))
def test_nothing_closes_with_1000_and_the_configuration_comes_first(sent: list[str]) -> None:
    stage = RetellStage("c1")
    stage.connect("A", "")
    for frame in sent:
        if not stage.clients["A"].gone:
            stage.send("A", frame)
    got = list(stage.clients["A"].got)
    assert isinstance(got[0], bytes)
    assert got[0].startswith(b'{"response_type":"config"')
    assert all(is_of_the_contract(body) if isinstance(body, bytes) else body.code == 1011 for body in got)


@given(events)
@settings(max_examples=300)
def test_an_event_is_a_frame_of_the_contract_without_nulls_and_always_the_same(event: Any) -> None:
    record = Recorded(1, STREAM, 1, event, Stamp("c", 0))
    first, second = (RetellDialect().render(record, None) for _ in range(2))
    assert first == second
    assert first is None or is_of_the_contract(first.body)


@given(st.lists(events | st.integers(0, 9), max_size=30))
def test_whatever_was_recorded_nothing_older_than_what_was_asked_leaves(story: list[Any]) -> None:
    dialect, newest = RetellDialect(Tally()), -1
    connection = dialect.connect(Handshake("b.1", {"call_id": "c1"}, {}, "anonymous", "e"))
    connection.opened(1)
    for step in story:
        if isinstance(step, int):
            asked = {"interaction_type": "response_required", "response_id": step, "transcript": []}
            connection.received(json.dumps(asked), 2)
            newest = max(newest, step)
        elif (frame := dialect.render(Recorded(1, STREAM, 1, step, Stamp("c", 0)), None)) is not None:
            shown: Any = strict(frame.body)
            assert shown.get("response_id", newest) >= newest
