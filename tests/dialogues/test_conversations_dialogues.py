from __future__ import annotations

import json
from pathlib import Path

import pytest

from adapters.protocols.conversations import dialect_for
from core.dialect import Close
from tests.dialogues.dialogue import Closed, Connect, Get, Leave, Line, Names, Outside, Send, Step, read_dialogue
from tests.dialogues.stage import Stage

CONVERSATION = "0194b1a0-0000-7000-8000-000000000000"
FILES = sorted((Path(__file__).parent / "conversations").glob("*.txt"))


def strict(body: bytes) -> object:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(body, parse_constant=refuse)


def act(stage: Stage, names: Names, step: Connect | Send | Leave | Outside) -> None:
    unread = {who: list(client.got) for who, client in stage.clients.items() if client.got}
    assert not unread, "got more than the dialogue says"
    match step:
        case Connect(who, address):
            stage.connect(who, names.fill(address))
        case Send(who, text):
            binary, content = text.startswith("<binary> "), names.fill(text.removeprefix("<binary> "))
            stage.send(who, content.encode() if binary else content)
        case Leave(who):
            stage.leave(who)
        case Outside(what):
            stage.outside(names.fill(what))


def check(stage: Stage, names: Names, step: Get | Closed) -> None:
    assert stage.clients[step.who].got, "got nothing"
    got = stage.clients[step.who].got.popleft()
    if isinstance(step, Closed):
        assert got == Close(step.code, step.reason)
    else:
        assert isinstance(got, bytes), f"expected a frame, got {got}"
        assert not names.differences(step.frame, strict(got)), got.decode()


def perform(stage: Stage, names: Names, step: Step) -> None:
    if isinstance(step, Get | Closed):
        check(stage, names, step)
    else:
        act(stage, names, step)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_dialogue_goes_as_written(path: Path) -> None:
    stage, names = Stage(dialect_for, CONVERSATION), Names({"conversation": CONVERSATION, "epoch": "epoch-1"})
    lines = read_dialogue(path)
    for line in lines:
        try:
            perform(stage, names, line.step)
        except AssertionError as error:
            error.add_note(f"at {path.name}:{line.number}: {line.step}")
            raise
    assert not any(client.got for client in stage.clients.values()), "got more than the dialogue says"


def test_every_type_of_frame_and_of_error_has_a_dialogue() -> None:
    frames = [line.step.frame for path in FILES for line in read_dialogue(path) if isinstance(line.step, Get)]
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
    envelope = {"type": "error", "conversation_id": "<conversation>", "timestamp": "<time>"}
    assert read_dialogue(path) == [
        Line(2, Get("A", {**envelope, "payload": {"a": 1, "b": "<time>"}, "seq": "<n>"})),
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
