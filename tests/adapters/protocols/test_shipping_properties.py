"""Whatever a client sends: an answer of its own or one storable command, and nobody else is bothered."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from core.dialect import Close
from core.session import session
from tests.dialogues.playing import strict
from tests.dialogues.shipping_stage import ShippingStage

TYPES = st.sampled_from(["client_tool_call", "get_rates", "contextual_update", "get_session_state", "ping"])
anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from(["weight", "origin_zip", "destination_zip", "x"]), anything, max_size=4)
calls = st.fixed_dictionaries(
    {},
    optional={
        "tool_name": st.sampled_from(["create_label", "get_shipping_quotes", "fly"]) | anything,
        "tool_call_id": st.sampled_from(["t1", "t2"]) | anything,
        "parameters": objects | anything,
        "metadata": anything,
    },
)
sent_frames = st.fixed_dictionaries(
    {"type": TYPES | anything},
    optional={
        "client_tool_call": calls | anything,
        "payload": objects | anything,
        "text": st.text() | anything,
        "data": anything,
        "requestId": st.sampled_from(["r1", "r2"]) | anything,
        "command_id": st.sampled_from(["c1", "c2"]) | anything,
        "broadcast": st.booleans() | anything,
        "session_id": anything,
    },
)


def fresh() -> ShippingStage:
    """A and B share a session; C has one of its own."""
    stage = ShippingStage()
    stage.connect("A", "")
    stage.connect("B", f"?session_id={stage.session_of('A').stream.id}")
    stage.connect("C", "")
    return stage


def got(stage: ShippingStage, who: str) -> list[Any]:
    client = stage.clients[who]
    assert not any(isinstance(body, Close) for body in client.got)
    frames = [strict(body) for body in client.got if isinstance(body, bytes)]
    client.got.clear()
    return frames


@given(st.text(st.characters()) | st.binary())
def test_any_text_and_any_bytes_get_one_error(frame: str | bytes) -> None:
    stage = fresh()
    stage.send("A", frame)
    assert [answer["type"] for answer in got(stage, "A")] == ["error"]
    assert got(stage, "B") == []


@given(st.lists(sent_frames, max_size=5))
@settings(max_examples=300)
def test_every_frame_is_answered_or_becomes_a_request_and_no_other_session_hears_of_it(sent: list[Any]) -> None:
    stage = fresh()
    for frame in sent:
        actor = stage.session_of("A")
        under_way = len(actor.state.open)
        records = len(actor.records)
        stage.send("A", json.dumps(frame))
        answers, others = got(stage, "A"), got(stage, "B")
        assert answers or len(actor.state.open) > under_way or (actor.state.open and frame.get("type") is not None)
        assert got(stage, "C") == []
        for shown in (*answers, *others):
            assert type(shown["timestamp"]) is int
            assert (shown["user"], shown["session_id"]) == ("anonymous", actor.stream.id)
            assert isinstance(shown["requestId"], str)
        if others:
            assert len(actor.records) > records


@given(st.lists(sent_frames, max_size=5))
def test_what_is_recorded_can_be_stored_and_renders_the_same_from_the_log(sent: list[Any]) -> None:
    stage = fresh()
    for frame in sent:
        stage.send("A", json.dumps(frame))
    actor, dialect = stage.session_of("A"), stage.clients["A"].dialect
    state = session.initial
    for record in actor.records:
        state = session.fold(state, (record.event,))
        stored = msgspec.json.decode(msgspec.json.encode(record.event), type=type(record.event))
        again = msgspec.structs.replace(record, event=stored)
        assert dialect.render(again, state) == dialect.render(record, state)
