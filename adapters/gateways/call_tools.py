"""The tools of a call: what a language model may have done while it talks to a caller."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from actors.effects import Tell
from core.call import Call, ShowMetadata
from core.call import Tool as Used
from core.ports import Forecast, ForecastFailure, ToolSpec

Run = Callable[[Mapping[str, Any], Tell], Awaitable[str]]
"""Does it: gets its arguments and `tell`, which asks the call's actor. Returns what the model is told of it."""


class ToolFailure(Exception):
    """The tool did not do it; the message is for the model, and may be spoken."""


@dataclass(frozen=True, slots=True)
class Tool:
    """What a model is told of a tool, and how it is run."""

    spec: ToolSpec
    run: Run


@dataclass(frozen=True, slots=True)
class Ending:
    """What the last frame of an answer tells the platform to do."""

    end_call: bool = False
    transfer_number: str | None = None
    digit_to_press: str | None = None

    @property
    def is_nothing(self) -> bool:
        return self == Ending()


def call_tools(forecast: Forecast | None = None) -> Sequence[Tool]:
    """The tools every call has; and the weather, where somebody knows it."""
    weather = () if forecast is None else (weather_tool(forecast),)
    return (END_CALL, TRANSFER_CALL, PRESS_DIGIT, SHOW_PAGE, *weather)


def ending_of(state: Call, response_id: int) -> Ending:
    """What the tools that this answer used have decided; those of an answer that was superseded decide nothing."""
    used = {tool.call.name: tool for tool in state.tools if tool.response_id == response_id and tool.result is not None}
    return Ending(
        END_CALL.spec.name in used,
        _argument(used.get(TRANSFER_CALL.spec.name), "number"),
        _argument(used.get(PRESS_DIGIT.spec.name), "digit"),
    )


def arguments_of(text: str) -> dict[str, Any]:
    """The arguments as a model wrote them. Raises ToolFailure for what is no JSON object."""
    try:
        return msgspec.json.decode(text or "{}", type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise ToolFailure("the arguments are no JSON object") from None


def required(arguments: Mapping[str, Any], name: str) -> str:
    """An argument that must be there. Raises ToolFailure."""
    value = arguments.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ToolFailure(f"the argument {name} is missing")
    return value.strip()


def weather_tool(forecast: Forecast) -> Tool:
    async def run(arguments: Mapping[str, Any], tell: Tell) -> str:  # noqa: ARG001  # what every tool gets
        try:
            return msgspec.json.encode(await forecast.current(required(arguments, "location"))).decode()
        except ForecastFailure as failure:
            raise ToolFailure(failure.reason) from failure

    return Tool(_spec("get_weather", "The weather at a place now.", location="A city, or a city and its country"), run)


def _argument(tool: Used | None, name: str) -> str | None:
    return None if tool is None else required(arguments_of(tool.call.arguments), name)


def _spec(name: str, description: str, **arguments: str) -> ToolSpec:
    """Of a tool whose arguments are texts, all of which it needs."""
    properties = {argument: {"type": "string", "description": text} for argument, text in arguments.items()}
    return ToolSpec(name, description, {"type": "object", "properties": properties, "required": list(arguments)})


async def _end_call(arguments: Mapping[str, Any], tell: Tell) -> str:  # noqa: ARG001  # what every tool gets
    return "The call ends behind your next words. Say goodbye."


async def _transfer_call(arguments: Mapping[str, Any], tell: Tell) -> str:  # noqa: ARG001  # as above
    return f"The caller is put through to {required(arguments, 'number')} behind your next words."


async def _press_digit(arguments: Mapping[str, Any], tell: Tell) -> str:  # noqa: ARG001  # as above
    return f"{required(arguments, 'digit')} is pressed behind your next words."


async def _show_page(arguments: Mapping[str, Any], tell: Tell) -> str:
    page = required(arguments, "page")
    await tell(ShowMetadata({"type": "navigation", "page": page}))
    return f"The caller sees {page} now."


END_CALL = Tool(_spec("end_call", "End the call, when the caller has said goodbye or asks for it."), _end_call)
TRANSFER_CALL = Tool(
    _spec("transfer_call", "Put the caller through to a person.", number="A phone number, e.g. +15550100"),
    _transfer_call,
)
PRESS_DIGIT = Tool(_spec("press_digit", "Press a key in a phone menu.", digit="0 to 9, * or #"), _press_digit)
SHOW_PAGE = Tool(_spec("show_page", "Show the caller a page of the site they are on.", page="A path"), _show_page)
