from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.protocols.shipping.dialect import endpoints
from tests.dialogues.dialogue import Closed, Get, Names, Send, read_dialogue
from tests.dialogues.live import can_live, play_live
from tests.dialogues.playing import play
from tests.dialogues.shipping_stage import ShippingStage

FILES = sorted((Path(__file__).parent / "shipping").glob("*.txt"))


def envelope(kind: str, fields: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    rest = {"timestamp": "<ms>", "requestId": "<any>", "user": "anonymous", "session_id": "<session>"}
    return {"type": kind} | fields | rest | more


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_dialogue_goes_as_written(path: Path) -> None:
    play(read_dialogue(path, envelope), ShippingStage(), Names(), path.name)


@pytest.mark.parametrize("path", [path for path in FILES if can_live(path)], ids=lambda path: path.stem)
async def test_the_dialogue_goes_as_written_over_real_sockets(path: Path) -> None:
    (endpoint,) = endpoints({})
    await play_live(read_dialogue(path, envelope), ShippingStage(), Names(), endpoint, path.name)


def test_every_type_of_frame_every_error_and_every_close_has_a_dialogue() -> None:
    steps = [line.step for path in FILES for line in read_dialogue(path, envelope)]
    got = [step.frame for step in steps if isinstance(step, Get)]
    assert {frame["type"] for frame in got} == {
        "client_tool_result", "contextual_update", "contextual_update_received", "error", "pong", "quote_ready",
        "session_state",
    }  # fmt: skip
    texts = [frame["payload"]["message"] for frame in got if frame["type"] == "error"]
    texts += [frame["result"]["error"] for frame in got if frame.get("is_error")]
    for text in (
        "Missing required parameter: ", "Missing required field: ", "Unsupported tool: ", "Unknown message type: ",
        "timeout calling rates endpoint", "Too many messages", "The session is busy", "The session cannot be reached",
    ):  # fmt: skip
        assert any(shown.startswith(text) for shown in texts), f"no dialogue shows {text}"
    assert {step.code for step in steps if isinstance(step, Closed)} == {1011, 1013}
    sent = [step.text for step in steps if isinstance(step, Send)]
    for kind in ("client_tool_call", "get_rates", "contextual_update", "get_session_state", "ping"):
        assert any(f'"{kind}"' in text for text in sent), f"no dialogue sends {kind}"
