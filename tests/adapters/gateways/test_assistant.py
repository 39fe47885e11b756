"""The assistant of a channel: what it tells its conversation, round by round, whatever model and weather do."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from adapters.gateways.assistant import MOST_ROUNDS, assistant_performers
from adapters.gateways.offline_partner import OfflinePartner, ScriptedModel
from adapters.gateways.scripted_forecast import ScriptedForecast
from core.conversation import (
    AddReplyPiece,
    Ask,
    BeginReply,
    BeginReplyTool,
    CompleteReply,
    Conversation,
    DraftReply,
    EndConversation,
    EndReplyTool,
    FailReply,
    OpenConversation,
    Say,
    conversation,
)
from core.decider import Rejected
from core.identifiers import Category, StreamName
from core.messages import Accepted, Outcome, Recorded, Refused, Stamp
from core.ports import Forecast, ForecastFailure, LanguageModel, ModelFailure, ToolCall

STREAM = StreamName.of(Category.CONVERSATION, "thread_1")
OSLO = ToolCall("c1", "get_weather", '{"location": "Oslo"}')
BEGIN_OSLO = BeginReplyTool("r1", 1, "c1", "get_weather", OSLO.arguments)


class Thread:
    """One conversation without a system: tells are decided and folded at once. `leave_at` ends it before that tell."""

    def __init__(self, question: str = "What is the weather in Oslo?", *, leave_at: type | None = None) -> None:
        self.state, self.told, self._leave_at = Conversation(), list[Any](), leave_at
        self.decide(Ask("weather-update", "m1", "r1", question))

    def decide(self, command: Any) -> Outcome:
        events = conversation.decide(self.state, command)
        if isinstance(events, Rejected):
            return Refused(events)
        self.state = conversation.fold(self.state, events)
        records = tuple(Recorded(n, STREAM, n, event, Stamp("t", 0)) for n, event in enumerate(events, start=1))
        return Accepted(records, self.state, len(records))

    async def tell(self, command: Any) -> Outcome:
        await trio.lowlevel.checkpoint()
        self.told.append(command)
        if type(command) is self._leave_at:
            self.decide(EndConversation())
        return self.decide(command)

    async def answer(self, model: LanguageModel, forecast: Forecast | None = None, **settings: Any) -> list[Any]:
        [perform] = assistant_performers(model, forecast or ScriptedForecast(), **settings).values()
        await perform(DraftReply("r1"), self.state, self.tell)
        return self.told


async def test_the_weather_is_looked_up_and_told(autojump_clock: MockClock) -> None:
    model = ScriptedModel(["Let me see.", 1.0, OSLO], ["It is ", 1.0, "cold."])
    told = await Thread().answer(model)
    [found] = [command for command in told if isinstance(command, EndReplyTool)]
    assert told == [
        BeginReply("r1", "scripted"), AddReplyPiece("r1", 1, "Let me see."), BEGIN_OSLO, found,
        AddReplyPiece("r1", 1, " It is "), CompleteReply("r1", 1, "Let me see. It is cold."),
    ]  # fmt: skip
    assert json.loads(found.result)["location"] == "Oslo"
    assert not found.failed
    first, second = model.prompts
    assert [tool.name for tool in first.tools] == ["get_weather"]
    assert [turn.role for turn in second.turns] == ["user", "assistant", "tool"]
    assert (second.turns[1].tool_calls, second.turns[2].tool_call_id) == ((OSLO,), "c1")


async def test_the_offline_partner_does_it_without_a_network(autojump_clock: MockClock) -> None:
    thread = Thread()
    told = await thread.answer(OfflinePartner())
    assert isinstance(told[-1], CompleteReply)
    assert told[-1].content.startswith("The weather in Oslo now: ")
    assert thread.state.replies == ()


async def test_two_tools_are_used_one_after_the_other(autojump_clock: MockClock) -> None:
    rome, forecast = ToolCall("c2", "get_weather", '{"location": "Rome"}'), ScriptedForecast()
    told = await Thread().answer(ScriptedModel([OSLO, rome], ["Both are fine."]), forecast)
    kinds = [type(command) for command in told]
    assert kinds == [
        BeginReply,
        BeginReplyTool,
        EndReplyTool,
        BeginReplyTool,
        EndReplyTool,
        AddReplyPiece,
        CompleteReply,
    ]
    assert forecast.asked == ["Oslo", "Rome"]


class Broken(ScriptedForecast):
    async def current(self, place: str) -> Any:
        raise ZeroDivisionError(place)


@pytest.mark.parametrize(
    "call, forecast, reason",
    [
        (OSLO, ScriptedForecast({"oslo": ForecastFailure("the forecast's server failed (500)")}), "server failed"),
        (OSLO, ScriptedForecast(pause=math.inf), "longer than 5 s"),
        (OSLO, Broken(), "it broke"),
        (ToolCall("c1", "get_weather", "{"), None, "no JSON object"),
        (ToolCall("c1", "get_weather", "{}"), None, "location is missing"),
        (ToolCall("c1", "fly", "{}"), None, "no tool fly"),
    ],
)
async def test_a_tool_that_fails_is_told_to_the_model_which_goes_on(
    autojump_clock: MockClock, call: ToolCall, forecast: Forecast | None, reason: str
) -> None:
    model = ScriptedModel([call], ["I do not know."])
    told = await Thread().answer(model, forecast, tool_timeout=5.0)
    [ended] = [command for command in told if isinstance(command, EndReplyTool)]
    assert ended.failed
    assert reason in json.loads(ended.result)["error"]
    assert model.prompts[1].turns[-1].content == ended.result
    assert told[-1] == CompleteReply("r1", 1, "I do not know.")


@pytest.mark.parametrize(
    "answers, reason",
    [
        ([[ModelFailure("overloaded")]], "overloaded"),
        ([[OSLO], ["It", ModelFailure("cut off")]], "cut off"),
        ([[OSLO], []], "empty"),
        ([[math.inf]], "no whole answer within"),
        ([[OSLO]], "again and again"),
    ],
)
async def test_an_answer_that_fails_is_said_to_have_failed(
    autojump_clock: MockClock, answers: list[list[Any]], reason: str
) -> None:
    thread = Thread()
    told = await thread.answer(ScriptedModel(*answers))
    assert isinstance(told[-1], FailReply)
    assert reason in told[-1].reason
    assert thread.state.replies == ()
    assert sum(isinstance(command, BeginReplyTool) for command in told) <= MOST_ROUNDS


@pytest.mark.parametrize("leave_at", [BeginReply, AddReplyPiece, BeginReplyTool, EndReplyTool])
async def test_when_the_conversation_moves_on_it_stops(autojump_clock: MockClock, leave_at: type) -> None:
    model = ScriptedModel(["Well.", 1.0, OSLO], ["It is cold."])
    told = await Thread(leave_at=leave_at).answer(model)
    assert type(told[-1]) is leave_at


async def test_elsewhere_it_only_talks(autojump_clock: MockClock) -> None:
    thread, model = Thread(), ScriptedModel(["Hello."])
    thread.state = Conversation()
    thread.decide(OpenConversation())
    thread.decide(Say("m1", "r1", "What is the weather in Oslo?"))
    assert (await thread.answer(model))[-1] == CompleteReply("r1", 1, "Hello.")
    assert model.prompts[0].tools == ()
