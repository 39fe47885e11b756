from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.protocols.conversations import endpoints
from tests.dialogues.conversations_stage import ConversationsStage
from tests.dialogues.dialogue import Closed, Get, Line, Names, read_dialogue
from tests.dialogues.live import can_live, play_live
from tests.dialogues.playing import play

CONVERSATION = "0194b1a0-0000-7000-8000-000000000000"
FILES = sorted((Path(__file__).parent / "conversations").glob("*.txt"))


def envelope(kind: str, payload: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "conversation_id": "<conversation>", "timestamp": "<time>", "payload": payload} | more


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_dialogue_goes_as_written(path: Path) -> None:
    names = Names({"conversation": CONVERSATION, "epoch": "epoch-1"})
    play(read_dialogue(path, envelope), ConversationsStage(CONVERSATION), names, path.name)


@pytest.mark.parametrize("path", [path for path in FILES if can_live(path)], ids=lambda path: path.stem)
async def test_the_dialogue_goes_as_written_over_real_sockets(path: Path) -> None:
    names = Names({"conversation": CONVERSATION, "epoch": "epoch-1"})
    (endpoint,) = endpoints({})
    await play_live(read_dialogue(path, envelope), ConversationsStage(CONVERSATION), names, endpoint, path.name)


def test_every_type_of_frame_and_of_error_has_a_dialogue() -> None:
    frames = [line.step.frame for path in FILES for line in read_dialogue(path, envelope) if isinstance(line.step, Get)]
    assert {frame["type"] for frame in frames} == {
        "state_update", "transcript_update", "ai_response", "ai_response_delta", "speech_event", "error",
        "connection_status", "heartbeat_response",
    }  # fmt: skip
    assert {frame["payload"]["error_type"] for frame in frames if frame["type"] == "error"} == {
        "conversation_not_found", "invalid_json", "unknown_message_type", "validation_error", "invalid_state",
        "message_handling_error", "rate_limited", "busy",
    }  # fmt: skip


def test_a_line_that_goes_on_is_one_step(tmp_path: Path) -> None:
    path = tmp_path / "two.txt"
    path.write_text('# first\nA< error {"a": 1,\n    "b": "<time>"} seq=<n>\n\nA! close 1008 Not found\n')
    assert read_dialogue(path, envelope) == [
        Line(2, Get("A", envelope("error", {"a": 1, "b": "<time>"}, {"seq": "<n>"}))),
        Line(5, Closed("A", 1008, "Not found")),
    ]


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": 1, "b": 2}, {"a": 1}),
        ({"a": 1}, {"a": True}),
        ({"a": None}, {"a": 0}),
        ({"at": "<time>"}, {"at": "2025-01-03T00:00:00"}),
        ({"n": "<n>"}, {"n": "3"}),
        ({"at": "<ms>"}, {"at": 1_735_862_400}),
        ({"at": "<ms>"}, {"at": 1_735_862_400_000_000}),
        ({"at": "<ms>"}, {"at": 1_735_862_400_000.0}),
        ([1, 2], [1]),
        (["<same>", "<same>"], ["x", "y"]),
        ("<conversation>", "another"),
    ],
)
def test_what_differs_is_said(expected: object, actual: object) -> None:
    assert Names({"conversation": "one"}).differences(expected, actual)


def test_what_fits_is_learnt_and_filled_in() -> None:
    names = Names()
    assert names.differences(["<who>", "<n>", "<time>"], ["ann", 3, "2025-01-03T00:00:00+00:00"]) == []
    assert names.fill("<who> <3 ab> <unknown>") == "ann ababab <unknown>"
