from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors.effects import Tell
from adapters.gateways.call_prompt import NUDGE
from adapters.gateways.call_tools import Tool, ToolFailure, call_tools
from adapters.gateways.offline_partner import ScriptedModel
from adapters.gateways.scripted_forecast import ScriptedForecast
from core.call import APOLOGY, GREETING
from core.identifiers import Category, StreamName
from core.ports import ModelFailure, ToolCall, ToolSpec, Turn
from eventstore.memory import MemoryStore
from tests.adapters.lines import Line, exchange

STREAM = StreamName.of(Category.CALL, "c1")
USE = ToolCall("t1", "count", '{"by": 2}')


class Counting:
    """A tool that counts how often it is run, by its arguments; it takes `seconds`."""

    def __init__(self, seconds: float = 0.0, failure: Exception | None = None) -> None:
        self.runs: Counter[str] = Counter()
        self._seconds, self._failure = seconds, failure
        self.tool = Tool(ToolSpec("count", "Counts.", {"type": "object"}), self.run)

    async def run(self, arguments: Mapping[str, Any], tell: Tell) -> str:
        self.runs[str(arguments)] += 1
        await trio.sleep(self._seconds)
        if self._failure is not None:
            raise self._failure
        return f"{sum(self.runs.values())}"


async def answered(line: Line, response_id: int) -> str:
    await line.until(lambda: line.answered(response_id) is not None)
    return line.answered(response_id) or ""


# --- answers ----------------------------------------------------------------------------------------------------


async def test_an_answer_is_told_in_a_few_pieces_and_completed_once(autojump_clock: MockClock) -> None:
    model = ScriptedModel(["We ", 0.01, "open ", 0.01, "at ", 0.1, "nine."])
    async with exchange(MemoryStore(), model) as server:
        line = server.dial("c1")
        line.require(1, "When do you open?")
        assert await answered(line, 1) == "We open at nine."
        pieces = [(frame["content"], frame["content_complete"]) for frame in line.answers(1)]
    assert pieces == [("We ", False), ("open at ", False), ("nine.", True)]
    assert model.prompts[0].turns == (Turn("user", "When do you open?"),)


@pytest.mark.parametrize(
    "answer, said",
    [
        ([ModelFailure("no key")], APOLOGY),
        (["I think", 0.2, ModelFailure("cut off")], f"I think {APOLOGY}"),
        ([math.inf], APOLOGY),
        (["I think", math.inf], f"I think {APOLOGY}"),
        ([], APOLOGY),
        ([" "], APOLOGY),
        (["x" * 100_001], APOLOGY),
    ],
)
async def test_a_model_that_fails_is_apologised_for(answer: Any, said: str, autojump_clock: MockClock) -> None:
    async with exchange(MemoryStore(), ScriptedModel(answer), response_timeout=3.0) as server:
        line = server.dial("c1")
        line.require(1, "Well?")
        assert (await answered(line, 1)).strip() == said
        await trio.sleep(60)
        assert sum(frame["content_complete"] for frame in line.answers(1)) == 1


async def test_a_time_out_counts_from_the_question(autojump_clock: MockClock) -> None:
    async with exchange(MemoryStore(), ScriptedModel([math.inf]), response_timeout=3.0) as server:
        line, began = server.dial("c1"), trio.current_time()
        line.require(1, "Well?")
        await answered(line, 1)
        assert trio.current_time() - began == pytest.approx(3.0, abs=0.01)


async def test_a_newer_question_stops_the_model(autojump_clock: MockClock) -> None:
    async with exchange(MemoryStore(), ScriptedModel(["Once", math.inf], ["Yes."])) as server:
        line = server.dial("c1")
        line.require(1, "Tell me a story.")
        await line.until(lambda: bool(line.answers(1)))
        line.require(2, "Stop.")
        assert await answered(line, 2) == "Yes."
        assert server.system.statistics().effects == 1  # the watch


async def test_a_ping_is_answered_at_once_while_an_answer_streams(autojump_clock: MockClock) -> None:
    async with exchange(MemoryStore(), ScriptedModel(["word ", 0.05] * 100)) as server:
        line = server.dial("c1")
        line.require(1, "Talk.")
        for stamp in range(40):
            await trio.sleep(0.09)
            line.send("ping_pong", timestamp=stamp)
            assert line.story[-1] == ("<", {"response_type": "ping_pong", "timestamp": stamp})
        assert line.answered(1) is None


async def test_a_reminder_nudges_the_model(autojump_clock: MockClock) -> None:
    model = ScriptedModel(["Are you there?"])
    async with exchange(MemoryStore(), model) as server:
        line = server.dial("c1")
        line.require(1, "Hm.", kind="reminder_required")
        await answered(line, 1)
    assert model.prompts[0].turns == (Turn("user", "Hm."), Turn("user", NUDGE))


# --- the greeting -----------------------------------------------------------------------------------------------


async def test_without_details_the_greeting_comes_after_two_seconds(autojump_clock: MockClock) -> None:
    async with exchange(MemoryStore(), ScriptedModel([])) as server:
        line, began = server.dial("c1"), trio.current_time()
        assert await answered(line, 0) == GREETING
        assert trio.current_time() - began == pytest.approx(2.0, abs=0.01)


async def test_details_that_come_in_time_are_greeted_at_once_and_once(autojump_clock: MockClock) -> None:
    async with exchange(MemoryStore(), ScriptedModel([])) as server:
        line, began = server.dial("c1"), trio.current_time()
        line.send("call_details", call={"call_id": "c1"})
        await answered(line, 0)
        assert trio.current_time() - began < 0.1
        await trio.sleep(10)
        assert len(line.got) == 2


async def test_the_greeting_is_given_once_over_reconnects_and_kills(autojump_clock: MockClock) -> None:
    store, given = MemoryStore(), 0
    for wait in (0.5, 1.0, 1.9, 3.0, 3.0, 3.0):
        with trio.CancelScope() as kill:
            async with exchange(store, ScriptedModel([])) as server:
                line = server.dial("c1")
                await trio.sleep(wait)
                line = server.dial("c1")
                await trio.sleep(wait)
                given += len(line.answers(0))
                kill.cancel()
                await trio.sleep_forever()
    assert given == 1


# --- tools ------------------------------------------------------------------------------------------------------


async def test_a_tools_result_is_shown_and_told_the_model(autojump_clock: MockClock) -> None:
    model, counting = ScriptedModel(["Let me see.", USE], ["It is one."]), Counting(0.5)
    async with exchange(MemoryStore(), model, [counting.tool]) as server:
        line = server.dial("c1")
        line.require(1, "Count!")
        assert await answered(line, 1) == "Let me see. It is one."
        tool_frames = [frame for frame in line.got if frame["response_type"].startswith("tool")]
    assert tool_frames == [
        {"response_type": "tool_call_invocation", "tool_call_id": "t1", "name": "count", "arguments": '{"by": 2}'},
        {"response_type": "tool_call_result", "tool_call_id": "t1", "content": "1", "successful": True},
    ]
    assert model.prompts[1].turns == (
        Turn("user", "Count!"), Turn("assistant", "Let me see.", (USE,)), Turn("tool", "1", tool_call_id="t1"),
    )  # fmt: skip
    assert [tool.name for tool in model.prompts[0].tools] == ["count"]


@pytest.mark.parametrize(
    "counting, use, error",
    [
        (Counting(failure=ToolFailure("no such thing")), USE, "no such thing"),
        (Counting(failure=KeyError("secret")), USE, "it broke"),
        (Counting(seconds=math.inf), USE, "it took longer than 20 s"),
        (Counting(), ToolCall("t1", "count", "[1]"), "the arguments are no JSON object"),
        (Counting(), ToolCall("t1", "juggle", "{}"), "there is no tool juggle"),
    ],
)
async def test_a_tool_that_fails_says_so_and_the_answer_goes_on(
    counting: Counting, use: ToolCall, error: str, autojump_clock: MockClock
) -> None:
    model = ScriptedModel([use], ["Sorry."])
    async with exchange(MemoryStore(), model, [counting.tool]) as server:
        line = server.dial("c1")
        line.require(1, "Count!")
        assert await answered(line, 1) == "Sorry."
        (result,) = [frame for frame in line.got if frame["response_type"] == "tool_call_result"]
    assert (result["content"], result["successful"]) == (error, False)
    assert model.prompts[1].turns[-1].content == f'{{"error":"{error}"}}'


async def test_an_interrupted_answers_tool_runs_on_and_the_next_prompt_has_its_result(
    autojump_clock: MockClock,
) -> None:
    model, counting = ScriptedModel([USE], [3.0, "Fine."], ["One."]), Counting(1.0)
    async with exchange(MemoryStore(), model, [counting.tool]) as server:
        line = server.dial("c1")
        line.require(1, "Count!")
        await line.until(lambda: line.got[-1]["response_type"] == "tool_call_invocation")
        line.require(2, "Count!", "Never mind.")
        assert await answered(line, 2) == "Fine."
        line.require(3, "Count!", "Never mind.", "And?")
        await answered(line, 3)
    assert counting.runs.total() == 1
    assert model.prompts[2].turns[:2] == (Turn("assistant", "", (USE,)), Turn("tool", "1", tool_call_id="t1"))


async def test_a_model_that_numbers_its_calls_from_one_each_time_gets_each_of_them_run(
    autojump_clock: MockClock,
) -> None:
    other = ToolCall("t1", "count", '{"by": 3}')
    model, counting = ScriptedModel([USE], ["One."], [other], ["Two."]), Counting()
    async with exchange(MemoryStore(), model, [counting.tool]) as server:
        line = server.dial("c1")
        line.require(1, "Count!")
        assert await answered(line, 1) == "One."
        line.require(2, "Again!")
        assert await answered(line, 2) == "Two."
    assert counting.runs == {"{'by': 2}": 1, "{'by': 3}": 1}


@pytest.mark.parametrize("moment", [0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.25])
async def test_a_tool_never_runs_twice_over_kills_and_reconnects(moment: float, autojump_clock: MockClock) -> None:
    store, counting = MemoryStore(), Counting(0.5)
    for _ in range(4):
        with trio.CancelScope() as kill:
            async with exchange(store, ScriptedModel([0.2, USE], [0.2, "Done."]), [counting.tool]) as server:
                line = server.dial("c1")
                line.require(1, "Count!")
                await trio.sleep(moment)
                line = server.dial("c1")
                line.require(1, "Count!")
                await trio.sleep(moment)
                kill.cancel()
                await trio.sleep_forever()
    assert counting.runs.total() <= 1


@pytest.mark.parametrize(
    "use, fields",
    [
        (ToolCall("t1", "end_call", "{}"), {"end_call": True}),
        (
            ToolCall("t1", "transfer_call", '{"number": "+15550102"}'),
            {"end_call": False, "transfer_number": "+15550102"},
        ),
        (ToolCall("t1", "press_digit", '{"digit": "2"}'), {"end_call": False, "digit_to_press": "2"}),
        (ToolCall("t1", "transfer_call", "{}"), {"end_call": False}),
    ],
)
async def test_tools_decide_what_the_last_frame_says(
    use: ToolCall, fields: dict[str, Any], autojump_clock: MockClock
) -> None:
    async with exchange(MemoryStore(), ScriptedModel(["Well. ", use], ["Bye."]), call_tools()) as server:
        line = server.dial("c1")
        line.require(1, "Bye!")
        await answered(line, 1)
        last = line.answers(1)[-1]
    head = {"response_type": "response", "response_id": 1, "content": last["content"], "content_complete": True}
    assert last == {**head, **fields}


async def test_the_weather_and_a_page_are_tools(autojump_clock: MockClock) -> None:
    uses = ToolCall("t1", "get_weather", '{"location": "Berlin"}'), ToolCall("t2", "show_page", '{"page": "/map"}')
    async with exchange(MemoryStore(), ScriptedModel(uses, ["Look."]), call_tools(ScriptedForecast())) as server:
        line = server.dial("c1")
        line.require(1, "Weather in Berlin?")
        await answered(line, 1)
        assert {"response_type": "metadata", "metadata": {"type": "navigation", "page": "/map"}} in line.got
        results = [frame for frame in line.got if frame["response_type"] == "tool_call_result"]
    assert all(result["successful"] for result in results)
    assert any("temperature" in result["content"] for result in results)


# --- sockets ----------------------------------------------------------------------------------------------------


async def test_nothing_of_a_call_runs_on_when_its_socket_goes(autojump_clock: MockClock) -> None:
    model, counting = ScriptedModel(["Let me see.", USE]), Counting(math.inf)
    async with exchange(MemoryStore(), model, [counting.tool], tool_timeout=math.inf) as server:
        line = server.dial("c1")
        line.require(1, "Count!")
        await trio.sleep(5)
        line.leave()
        await trio.sleep(1)
        statistics = server.system.statistics()
        assert (statistics.effects, statistics.topics, statistics.listeners) == (0, 0, 0)
        assert server.tally.sockets == 1
        assert server.tally.seconds == pytest.approx(5.0, abs=0.01)


async def test_the_older_of_two_sockets_is_closed_and_the_newer_talks_on(autojump_clock: MockClock) -> None:
    async with exchange(MemoryStore(), ScriptedModel(["Yes."])) as server:
        older = server.dial("c1")
        newer = server.dial("c1")
        await older.until(lambda: older.code is not None)
        assert older.code == 4409
        newer.require(1, "Hello?")
        assert await answered(newer, 1) == "Yes."
        assert newer.code is None


async def test_a_killed_servers_sockets_are_lost_and_its_answers_not_drafted_on(autojump_clock: MockClock) -> None:
    store = MemoryStore()
    with trio.CancelScope() as kill:
        async with exchange(store, ScriptedModel([math.inf])) as server:
            line = server.dial("c1")
            line.require(1, "Well?")
            await trio.sleep(1)
            kill.cancel()
            await trio.sleep_forever()
    async with exchange(store, ScriptedModel([math.inf])) as server:
        await trio.sleep(1)
        state = await server.state("c1")
        assert (state.socket, state.response) == (None, None)
        assert server.system.statistics().effects == 0
