"""A weather question on a channel, which two subscribers hear answered (dialect `channels`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import json

from adapters.demo.ear import Ear, listening
from adapters.demo.scenes import Trace, weather_in_short
from adapters.demo.server import Server
from adapters.demo.stage import Stage, expect, short_scene
from core.channel import Published, stream_of
from core.messages import Recorded

CHANNEL = "weather-update"
QUESTION = "What is the weather in Paris?"


async def play(stage: Stage, server: Server) -> Trace:
    """Raises DemoFailed."""
    url, telling = f"ws://127.0.0.1:{server.port}/ws/channels", Telling(stage)
    async with (
        short_scene(stage, "A question on a channel, two subscribers"),
        listening(url) as phone,
        listening(url, telling.tell) as laptop,
    ):
        for ear in (phone, laptop):
            await ear.send("subscribe", payload={"channel": CHANNEL})
            await ear.until(lambda frame: frame["type"] == "subscribed")
        stage.line("phone", f"asks on {CHANNEL}", QUESTION)
        await phone.send("ask", payload={"channel": CHANNEL, "message": QUESTION})
        for ear in (laptop, phone):
            await ear.until(_is_the_end)
        heard = _published(laptop)
        expect(_published(phone) == heard, "both subscribers hear the same frames")
        expect(_has_all_parts(heard), "a tool begins, it has a result, and an answer is streamed")
        stage.say(f"phone and laptop heard the same {len(heard)} frames, byte for byte")
    payloads = [json.decode(text)["payload"] for text in heard]

    def holds(records: Sequence[Recorded]) -> bool:
        return [record.event.payload for record in records if isinstance(record.event, Published)] == payloads

    return Trace(stream_of(CHANNEL), "and every frame that both heard is in it", holds)


class Telling:
    """What is heard on the channel, as it comes: of a growing answer what is new of it."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self._shown = stage, ""

    def tell(self, frame: dict[str, Any]) -> None:
        match frame["payload"]:
            case {"type": "tool", "status": "started", "message": message}:
                self._stage.line("both", "hear", message)
            case {"type": "tool", "status": "tool_executed", "message": report}:
                self._stage.line("both", "hear", weather_in_short(report))
            case {"type": "response", "message": text}:
                self._tell_answer(text)
                if _is_the_end(frame):
                    self._stage.end_answer()
            case _:
                pass  # `subscribed`

    def _tell_answer(self, text: str) -> None:
        if not self._shown:
            self._stage.begin_answer("both hear")
        self._stage.piece(text.removeprefix(self._shown))
        self._shown = text


def _is_the_end(frame: dict[str, Any]) -> bool:
    payload: dict[str, str] = frame["payload"]
    return payload.get("type") == "response" and payload.get("status") == "completed"


def _published(ear: Ear) -> list[str | bytes]:
    return [text for text, frame in zip(ear.texts, ear.frames, strict=True) if frame["type"] == CHANNEL]


def _has_all_parts(heard: list[str | bytes]) -> bool:
    told = [(payload["type"], payload.get("status")) for payload in (json.decode(text)["payload"] for text in heard)]
    pieces = told[2:-1]
    return told[:2] == [("tool", "started"), ("tool", "tool_executed")] and set(pieces) == {("response", None)}
