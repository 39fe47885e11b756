"""A call in which the caller interrupts an answer that a tool was used for (dialect `retell`)."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.demo.retell_caller import Caller, Talk, calling
from adapters.demo.scenes import Trace, weather_in_short
from adapters.demo.server import RETELL_PATH, Server
from adapters.demo.stage import Stage, expect, short_scene
from core.call import ResponseSuperseded
from core.identifiers import Category, StreamName
from core.messages import Recorded

CALL_ID = "demo"
QUESTION = "What is the weather in Oslo?"
INTERRUPTION = "Never mind, let us talk about sailing."
HEARD_UNTIL = 5
"""Pieces of the answer that the caller hears before interrupting."""


async def play(stage: Stage, server: Server) -> Trace:
    """Raises DemoFailed."""
    url = f"ws://127.0.0.1:{server.port}/{RETELL_PATH}"
    async with (
        short_scene(stage, "A call, interrupted in the middle of an answer"),
        calling(url, Talk(CALL_ID)) as caller,
    ):
        await caller.describe(direction="inbound")
        stage.line("agent", "says", await caller.answer(0))
        older = await _hear_the_beginning(stage, caller)
        newer = await _interrupt(stage, caller, older)

    def holds(records: Sequence[Recorded]) -> bool:
        found = [record.event for record in records if isinstance(record.event, ResponseSuperseded)]
        return [(event.response_id, event.by) for event in found] == [(older, newer)]

    promise = f"answer {older} is superseded by {newer}"
    return Trace(StreamName.of(Category.CALL, CALL_ID), promise, holds)


async def _hear_the_beginning(stage: Stage, caller: Caller) -> int:
    """Its response id."""
    stage.line("caller", "asks", QUESTION)
    asked = await caller.say(QUESTION)
    used = await caller.until(lambda frame: frame["response_type"] == "tool_call_invocation")
    stage.line("agent", "uses", f"{used['name']} {used['arguments']}")
    result = await caller.until(lambda frame: frame["response_type"] == "tool_call_result")
    expect(result["successful"], "the tool has a result")
    stage.line("agent", "learns", weather_in_short(result["content"]))
    await caller.until(lambda _: len(_pieces(caller, asked)) >= HEARD_UNTIL)
    return asked


async def _interrupt(stage: Stage, caller: Caller, older: int) -> int:
    """The newer response id. A pong tells what crossed our question on its way from what was sent after it."""
    newer = await caller.say(INTERRUPTION)
    await caller.ping()
    crossed, heard = len(caller.stale), "".join(_pieces(caller, older))
    is_whole = any(frame["content_complete"] for frame in caller.frames if frame.get("response_id") == older)
    expect(not is_whole, "the caller interrupts an answer, not its silence")
    stage.begin_answer("caller hears")
    stage.piece(heard)
    stage.cut_off()
    stage.line("caller", "interrupts", INTERRUPTION)
    stage.begin_answer("caller hears")
    stage.piece(await caller.answer(newer))
    stage.end_answer()
    await caller.ping()
    promise = f"once the server had the newer question, not one frame of answer {older} came"
    expect(len(caller.stale) == crossed, promise)
    stage.say(promise)
    return newer


def _pieces(caller: Caller, response_id: int) -> list[str]:
    return [frame["content"] for frame in caller.frames if frame.get("response_id") == response_id]
