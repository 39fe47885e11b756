from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.dialogues.dialogue import Closed, Get, Names, Send, read_dialogue
from tests.dialogues.playing import play
from tests.dialogues.retell_stage import RetellStage

CALL = "call_9f2c"
FILES = sorted((Path(__file__).parent / "retell").glob("*.txt"))


def envelope(kind: str, payload: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    return {"response_type": kind} | payload | more


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_dialogue_goes_as_written(path: Path) -> None:
    stage = RetellStage(CALL)
    play(read_dialogue(path, envelope), stage, Names({"call": CALL}), path.name)


def test_every_type_of_frame_and_every_close_has_a_dialogue() -> None:
    steps = [line.step for path in FILES for line in read_dialogue(path, envelope)]
    assert {step.frame["response_type"] for step in steps if isinstance(step, Get)} == {
        "config", "ping_pong", "response", "tool_call_invocation", "tool_call_result", "metadata", "agent_interrupt",
        "update_agent",
    }  # fmt: skip
    assert {step.code for step in steps if isinstance(step, Closed)} == {1000, 1007, 1008, 1011, 4008, 4409}
    sent = [step.text for step in steps if isinstance(step, Send)]
    for kind in ("ping_pong", "call_details", "update_only", "response_required", "reminder_required"):
        assert any(f'"{kind}"' in text for text in sent), f"no dialogue sends {kind}"
