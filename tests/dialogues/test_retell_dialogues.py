from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.protocols.retell import dialect_for
from core.dialect import Endpoint
from tests.dialogues.dialogue import Closed, Get, Names, Send, read_dialogue
from tests.dialogues.live import can_live, play_live
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


@pytest.mark.parametrize("path", [path for path in FILES if can_live(path)], ids=lambda path: path.stem)
async def test_the_dialogue_goes_as_written_over_real_sockets(path: Path) -> None:
    endpoint, names = Endpoint("/secret/<call_id>", dialect_for), Names({"call": CALL})
    await play_live(read_dialogue(path, envelope), RetellStage(CALL), names, endpoint, path.name)


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
