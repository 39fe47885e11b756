from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.gateways.offline_partner import OfflinePartner, ScriptedModel
from adapters.gateways.weather_talk import place_of, told, weather_call
from core.ports import Piece, Prompt, ToolCall, ToolSpec, Turn

SCHEMA = {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]}
WEATHER = ToolSpec("get_weather", "The weather somewhere now.", SCHEMA)
OTHER = ToolSpec("book_flight", "Books a flight.", SCHEMA)


def asking(text: str, *tools: ToolSpec) -> Prompt:
    return Prompt("friendly_neutral", None, "daily", (Turn("user", text),), tools)


async def answer_of(prompt: Prompt) -> list[Piece]:
    async with OfflinePartner(pause=0.0).draft(prompt) as pieces:
        return [piece async for piece in pieces]


@pytest.mark.parametrize(
    "text, place",
    [
        ("What is the weather in Makati?", "Makati"),
        ("what's the weather like in san francisco right now", "san francisco"),
        ("How is the weather today in New York, please?", "New York"),
        ("Is it raining at Saint-Malo today", "Saint-Malo"),
        ("forecast for Oslo tomorrow", "Oslo"),
        ("Show me the London weather", "London"),
        ("What is the temperature in Paris, France?", "Paris, France"),
        ("Is it snowing in Zürich?", "Zürich"),
        ("What's the weather in the morning in Rome?", "Rome"),
        ("What's the weather like?", None),
        ("Is it raining right now?", None),
        ("I grew up in Makati", None),
        ("How is the weather in the morning", None),
        ("", None),
    ],
)
def test_a_question_for_the_weather_says_where(text: str, place: str | None) -> None:
    assert place_of(text) == place


async def test_asked_for_the_weather_the_partner_calls_the_tool_it_is_offered() -> None:
    [call] = await answer_of(asking("What is the weather in Makati?", OTHER, WEATHER))
    assert isinstance(call, ToolCall)
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"location": "Makati"})


async def test_without_such_a_tool_it_talks() -> None:
    for prompt in (asking("What is the weather in Makati?", OTHER), asking("I like chess.", WEATHER)):
        assert all(isinstance(piece, str) for piece in await answer_of(prompt))


def test_the_place_is_given_by_the_name_the_tool_requires() -> None:
    call = weather_call(asking("weather in Oslo?", ToolSpec("weather", "", {"required": ["city"]})))
    assert call is not None
    assert json.loads(call.arguments) == {"city": "Oslo"}


def test_the_same_question_is_the_same_call_and_another_one_another() -> None:
    once, again = (weather_call(asking("weather in Oslo?", WEATHER)) for _ in range(2))
    other = weather_call(asking("weather in Rome?", WEATHER))
    assert once == again
    assert once is not None
    assert other is not None
    assert once.id != other.id


async def test_the_tool_s_result_is_told_in_words() -> None:
    prompt = asking("What is the weather in Makati?", WEATHER)
    [call] = await answer_of(prompt)
    assert isinstance(call, ToolCall)
    found = {"location": "Makati", "temperature": 30.14, "conditions": "partly cloudy", "humidity": 70}
    turns = (*prompt.turns, Turn("assistant", "", (call,)), Turn("tool", json.dumps(found), tool_call_id=call.id))
    pieces = await answer_of(Prompt("friendly_neutral", None, "daily", turns, (WEATHER,)))
    said = "".join(piece for piece in pieces if isinstance(piece, str))
    assert said == "The weather in Makati now: 30.14 °C and partly cloudy, humidity 70 %."
    assert len(pieces) > 5


@pytest.mark.parametrize(
    "result, said",
    [
        ('{"error": "no such place"}', "I could not find that out: no such place."),
        ("it is nice", "This is what I found: it is nice."),
        ("[1]", "This is what I found: [1]."),
        ("", "This is what I found: nothing."),
        ('{"temperature": 3}', "The weather now: 3 °C."),
    ],
)
def test_whatever_a_tool_says_is_told(result: str, said: str) -> None:
    assert told(Turn("tool", result)) == said


@given(st.text(max_size=200))
def test_nothing_that_is_said_or_found_is_too_strange(text: str) -> None:
    place_of(f"weather in {text}")
    assert told(Turn("tool", text))
    weather_call(asking(f"weather {text}", WEATHER))


async def test_a_script_may_call_tools() -> None:
    call = ToolCall("c1", "get_weather", "{}")
    async with ScriptedModel(["Well. ", call]).draft(asking("x")) as pieces:
        assert [piece async for piece in pieces] == ["Well. ", call]
