"""Plays a dialogue on a stage and says where it does not go as written, or not as the API reference says."""

from __future__ import annotations

import json

from core.dialect import Close
from tests.dialogues.dialogue import Closed, Connect, Get, Leave, Line, Names, Outside, Send, Step
from tests.dialogues.stage import Stage
from tests.dialogues.traffic import traffic_of


def play(lines: list[Line], stage: Stage, names: Names, called: str) -> None:
    """Raises AssertionError, with the line of the dialogue `called` so, where something else happens than it says."""
    for line in lines:
        try:
            _perform(stage, names, line.step)
        except AssertionError as error:
            error.add_note(f"at {called}:{line.number}: {line.step}")
            raise
    assert not any(client.got for client in stage.clients.values()), "got more than the dialogue says"


def strict(body: bytes) -> object:
    """The JSON of a frame. Raises AssertionError for what only looks like it."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(body, parse_constant=refuse)


def _act(stage: Stage, names: Names, step: Connect | Send | Leave | Outside) -> None:
    unread = {who: list(client.got) for who, client in stage.clients.items() if client.got}
    assert not unread, "got more than the dialogue says"
    match step:
        case Connect(who, address):
            stage.connect(who, names.fill(address))
        case Send(who, text):
            binary, content = text.startswith("<binary> "), names.fill(text.removeprefix("<binary> "))
            frame = content.encode() if binary else content
            traffic_of(stage.dialect).received(frame)
            stage.send(who, frame)
        case Leave(who):
            stage.leave(who)
        case Outside(what):
            stage.outside(names.fill(what))


def _check(stage: Stage, names: Names, step: Get | Closed) -> None:
    assert stage.clients[step.who].got, "got nothing"
    got = stage.clients[step.who].got.popleft()
    if isinstance(step, Closed):
        assert got == Close(step.code, step.reason)
    else:
        assert isinstance(got, bytes), f"expected a frame, got {got}"
        assert not names.differences(step.frame, strict(got)), got.decode()
        traffic_of(stage.dialect).sent(got)


def _perform(stage: Stage, names: Names, step: Step) -> None:
    if isinstance(step, Get | Closed):
        _check(stage, names, step)
    else:
        _act(stage, names, step)
