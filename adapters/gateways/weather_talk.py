"""How the offline partner uses a weather tool: hears where weather is asked for, tells what came of it. Pure."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import Any

from msgspec import DecodeError, json

from core.ports import Prompt, ToolCall, ToolSpec, Turn

MAX_PLACE_WORDS = 4

_WEATHER = re.compile(
    r"\b(?:weather|forecast|temperature|rain(?:y|ing)?|snow(?:y|ing)?|sunny|cloudy|windy|how (?:hot|warm|cold))\b",
    re.IGNORECASE,
)
_PREPOSITION = re.compile(r"\b(?:in|at|for|near|over)\s+", re.IGNORECASE)
_STOP = re.compile(r"[?!;:\n]")
_PLACE_BEFORE = re.compile(r"\b([^\W\d_][\w'’-]*)(?:['’]s)?\s+(?:weather|forecast)\b", re.IGNORECASE)
_TIMES = "current currently later minute moment month morning afternoon evening night now season today tomorrow tonight"
_PLAIN = (
    "a an and any are at be but can check do does fact for general get give has how i if in is it like local me my of"
    " next on or over please right show tell that the then there think this to was week weekend what what's when which"
    " will with year you your"
)
_NO_PLACE = frozenset(f"{_TIMES} {_PLAIN}".split())
"""Words that are no part of a place's name."""


def weather_call(prompt: Prompt) -> ToolCall | None:
    """The call that answers the last thing said, when it asks for weather somewhere and a tool for it is on offer."""
    tool = next((tool for tool in prompt.tools if "weather" in tool.name.lower()), None)
    if tool is None or not prompt.turns or prompt.turns[-1].role != "user":
        return None
    place = place_of(prompt.turns[-1].content[:1000])
    if place is None:
        return None
    arguments = json.encode({_place_argument(tool): place}).decode()
    return ToolCall(_call_id(prompt), tool.name, arguments)


def place_of(text: str) -> str | None:
    """Where the weather is asked for; None when it is not, or not for any place."""
    if not _WEATHER.search(text):
        return None
    for found in _PREPOSITION.finditer(text):
        if place := _place_in(_STOP.split(text[found.end() :], 1)[0]):
            return place
    before = _PLACE_BEFORE.search(text)
    return _place_in(before[1]) if before else None


def _place_in(words: str) -> str | None:
    """The words up to the first one no place has."""
    place: list[str] = []
    for word in words.split()[:MAX_PLACE_WORDS]:
        if word.strip(",.").lower() in _NO_PLACE:
            break
        place.append(word)
        if word.endswith("."):
            break
    return " ".join(place).strip(" ,.") or None


def _place_argument(tool: ToolSpec) -> str:
    """What the tool calls the place: the first thing it requires."""
    required = tool.schema.get("required") or list(tool.schema.get("properties", {}))
    return str(required[0]) if required else "location"


def _call_id(prompt: Prompt) -> str:
    """The same for the same prompt, and hardly ever for another one."""
    said = "\n".join(turn.content for turn in prompt.turns).encode("utf-8", "replace")
    return f"call_{len(prompt.turns)}_{zlib.crc32(said):08x}"


def weather_answer(prompt: Prompt) -> str | None:
    """The words for a tool's result, when the prompt ends with one."""
    if not prompt.turns or prompt.turns[-1].role != "tool":
        return None
    return told(prompt.turns[-1])


def told(result: Turn) -> str:
    """A tool's result in words. Never raises: a tool may have said anything."""
    found = _object_in(result.content)
    if "error" in found:
        return f"I could not find that out: {found['error']}."
    if "temperature" not in found:
        return f"This is what I found: {result.content.strip()[:500] or 'nothing'}."
    where = f" in {found['location']}" if found.get("location") else ""
    sky = f" and {found['conditions']}" if found.get("conditions") else ""
    more = [f"{name} {found[key]:g}{unit}" for key, name, unit in _DETAILS if isinstance(found.get(key), int | float)]
    return f"The weather{where} now: {found['temperature']} °C{sky}{', ' if more else ''}{', '.join(more)}."


_DETAILS = (
    ("apparent_temperature", "felt as", " °C"),
    ("humidity", "humidity", " %"),
    ("wind_speed", "wind", " km/h"),
    ("precipitation", "rain", " mm"),
)


def _object_in(text: str) -> Mapping[str, Any]:
    try:
        found = json.decode(text)
    except (DecodeError, UnicodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
