from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.protocols.channels import dialect_for, endpoints
from adapters.protocols.channels.requests import RESERVED
from core.identifiers import Category
from tests.dialogues.dialogue import Get, Names, read_dialogue
from tests.dialogues.live import can_live, play_live
from tests.dialogues.playing import play
from tests.dialogues.stage import Stage

FILES = sorted((Path(__file__).parent / "channels").glob("*.txt"))


def envelope(kind: str, payload: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "payload": payload} | more


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_dialogue_goes_as_written(path: Path) -> None:
    stage = Stage(dialect_for, Category.CHANNEL, "", "")
    play(read_dialogue(path, envelope), stage, Names(), path.name)


@pytest.mark.parametrize("path", [path for path in FILES if can_live(path)], ids=lambda path: path.stem)
@pytest.mark.parametrize("place", [0, 1], ids=["root", "path"])
async def test_the_dialogue_goes_as_written_over_real_sockets(path: Path, place: int) -> None:
    stage = Stage(dialect_for, Category.CHANNEL, "", "")
    await play_live(read_dialogue(path, envelope), stage, Names(), endpoints({})[place], path.name)


def test_every_type_of_frame_and_of_error_and_every_reserved_name_has_a_dialogue() -> None:
    steps = [line.step for path in FILES for line in read_dialogue(path, envelope)]
    frames = [step.frame for step in steps if isinstance(step, Get)]
    assert {frame["type"] for frame in frames} >= {"subscribed", "unsubscribed", "error", "weather-update"}
    errors = [frame["payload"] for frame in frames if frame["type"] == "error"]
    assert {error["code"] for error in errors} == {
        "invalid_json", "invalid_message", "missing_channel", "reserved_channel", "rate_limited", "busy",
    }  # fmt: skip
    assert {error["channel"] for error in errors if error["code"] == "reserved_channel"} == RESERVED
