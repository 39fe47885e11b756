from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.protocols.streams import endpoints
from tests.dialogues.dialogue import Closed, Get, Names, read_dialogue
from tests.dialogues.live import can_live, play_live
from tests.dialogues.playing import play
from tests.dialogues.streams_stage import StreamsStage

SESSION = "my-session"
FILES = sorted((Path(__file__).parent / "streams").glob("*.txt"))


def envelope(kind: str, payload: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "session_id": "<session>", "timestamp": "<ms>"} | payload | more


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_dialogue_goes_as_written(path: Path) -> None:
    names = Names({"session": SESSION, "epoch": "epoch-1"})
    play(read_dialogue(path, envelope), StreamsStage(SESSION), names, path.name)


@pytest.mark.parametrize("path", [path for path in FILES if can_live(path)], ids=lambda path: path.stem)
async def test_the_dialogue_goes_as_written_over_real_sockets(path: Path) -> None:
    (endpoint,) = endpoints({})
    names = Names({"session": SESSION, "epoch": "epoch-1"})
    await play_live(read_dialogue(path, envelope), StreamsStage(SESSION), names, endpoint, path.name)


def test_every_type_of_frame_and_every_close_has_a_dialogue() -> None:
    steps = [line.step for path in FILES for line in read_dialogue(path, envelope)]
    assert {step.frame["type"] for step in steps if isinstance(step, Get)} == {
        "connection_established", "pong", "chat_message", "audio_received", "video_received", "transcription_result",
        "transcription_error", "webrtc_connected", "webrtc_disconnected", "webrtc_offer", "webrtc_answer",
        "webrtc_ice_candidate", "test_response", "unknown_message", "error",
    }  # fmt: skip
    assert {step.code for step in steps if isinstance(step, Closed)} == {1000, 1008, 1011, 1013}
