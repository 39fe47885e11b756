from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.protocols.console import endpoints
from adapters.protocols.console.frames import CODES
from tests.dialogues.console_stage import ConsoleStage
from tests.dialogues.dialogue import Get, Names, read_dialogue
from tests.dialogues.live import can_live, play_live
from tests.dialogues.playing import play

FILES = sorted((Path(__file__).parent / "console").glob("*.txt"))


def envelope(kind: str, payload: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind} | payload | more


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_dialogue_goes_as_written(path: Path) -> None:
    play(read_dialogue(path, envelope), ConsoleStage(), Names(), path.name)


@pytest.mark.parametrize("path", [path for path in FILES if can_live(path)], ids=lambda path: path.stem)
async def test_the_dialogue_goes_as_written_over_real_sockets(path: Path) -> None:
    (endpoint,) = endpoints({})
    await play_live(read_dialogue(path, envelope), ConsoleStage(), Names(), endpoint, path.name)


def test_every_type_of_frame_and_every_code_of_an_error_has_a_dialogue() -> None:
    steps = [line.step for path in FILES for line in read_dialogue(path, envelope)]
    frames = [step.frame for step in steps if isinstance(step, Get)]
    assert {frame["type"] for frame in frames} == {
        "hello", "tuned", "untuned", "event", "record", "page", "page_end", "state", "error",
    }  # fmt: skip
    assert {frame["code"] for frame in frames if frame["type"] == "error"} == (
        set(CODES) - {"too_many", "too_far_behind", "cancelled"}  # which take thousands of lines, or a slow log
    )
