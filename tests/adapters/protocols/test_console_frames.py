"""Every event there is can be shown, and what is said of it is one harmless line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields, replace

from adapters.opening import DECIDERS
from adapters.protocols import wire
from adapters.protocols.console import CONSOLE, event_name, lane_of, says
from adapters.protocols.console.lanes import KINDS
from adapters.protocols.console.saying import MOST, line
from core.decider import AnyDecider, CommandRejected
from core.identifiers import Category, StreamName
from core.messages import Recorded, Stamp
from eventstore.catalog import EVENTS
from eventstore.codec import events

GOLDEN = Path(__file__).parents[2] / "golden_events"
STAMP = Stamp("c-1", 1_735_862_400_000_000, "mine", "call-1@7", "ada", "boot.3")

each_event = pytest.mark.parametrize("name", EVENTS)


def example(name: str) -> Any:
    return events.decode(name, (GOLDEN / f"{name.replace('/', '@')}.json").read_bytes())


@each_event
def test_an_event_is_called_as_in_the_log(name: str) -> None:
    assert event_name(EVENTS[name]) == name.partition("/")[0]


def test_every_event_has_one_lane() -> None:
    kinds = [kind for kinds in KINDS.values() for kind in kinds]
    assert len(kinds) == len(set(kinds))
    assert set(kinds) == set(EVENTS.values())


@each_event
def test_an_event_is_shown_with_all_that_the_log_says_of_it(name: str) -> None:
    event = example(name)
    kind = "conversation" if type(event) is CommandRejected else name.partition(".")[0]
    record = Recorded(9, StreamName.of(Category(kind), "x"), 4, event, STAMP)
    frame = CONSOLE.render(record, None)
    assert frame is not None
    shown = json.loads(frame.body)
    assert shown.pop("payload") == json.loads(events.encode(event)[1])
    assert shown == {
        "type": "record", "position": 9, "stream": f"{kind}-x", "version": 4, "time": STAMP.time,
        "event": name.partition("/")[0], "lane": lane_of(event).value, "says": says(event), "principal": "ada",
        "origin": "boot.3", "correlation_id": "c-1", "causation_id": "call-1@7", "command_id": "mine",
        "rejected": type(event) is CommandRejected,
    }  # fmt: skip
    brief = CONSOLE.render_wide(record, "log")
    assert brief is not None
    in_short = json.loads(brief.body)
    assert in_short.pop("type") == "event"
    assert in_short.items() <= shown.items()
    assert CONSOLE.render_wide(record, f"stream:{kind}-x") == frame


@each_event
def test_something_is_said_of_every_event_that_has_something_to_say(name: str) -> None:
    assert (says(example(name)) == "") is (name in {"conversation.migrated/1", "session.expired/1"})


@given(st.data())
def test_what_is_said_is_one_short_line_whatever_the_texts_are(data: st.DataObject) -> None:
    event = example(data.draw(st.sampled_from(sorted(EVENTS))))
    texts = [field.name for field in fields(event) if isinstance(getattr(event, field.name), str)]
    hostile = st.text(max_size=900) | st.sampled_from(
        ["<script>" * 60, "a\nb\u2028c\x07\u202ed", " " * 500, "x" * 2000]
    )
    plain = [name for name in texts if type(getattr(event, name)) is str]
    said = says(replace(event, **{name: data.draw(hostile) for name in plain}))
    assert len(said) <= MOST
    assert said.isprintable() or said == ""


def test_a_line_keeps_what_people_write_and_nothing_that_turns_it_around() -> None:
    assert line("  Grüße,\n\n<b>日本</b>\tמלח ") == "Grüße, <b>日本</b> מלח"
    assert line("a\u202eb\x1b[31mc\u200b") == "ab[31mc"
    assert line("x" * MOST) == "x" * MOST
    assert line("x" * (MOST + 1)) == "x" * (MOST - 1) + "…"
    assert line("x" * MOST + " " * 1000 + "y").endswith("…")


def states() -> list[tuple[AnyDecider, Any]]:
    folded = []
    for name in EVENTS:
        kind = name.partition(".")[0]
        if kind in tuple(Category):
            decider = DECIDERS[Category(kind)]
            folded.append((decider, decider.fold(decider.initial, (example(name),))))
    return folded


def test_every_state_can_be_sent_and_every_category_has_one() -> None:
    assert {decider.category for decider, _ in states()} == set(Category)
    for decider, state in states():
        for one in (state, decider.initial):
            assert isinstance(msgspec.json.decode(wire.encode(one)), dict)
