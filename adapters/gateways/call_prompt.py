"""What a language model is told of a call: what the caller heard, what tools found, and what is asked. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from core.call import Call, Tool
from core.ports import Prompt, ToolCall, ToolSpec, Turn

PERSONALITY, SESSION_TYPE = "friendly_neutral", "phone call"
NUDGE = "(I have not said anything for a while. In one short sentence, ask whether I am still there.)"
"""The caller's turn where the platform asks for a reminder."""


def prompt_of(state: Call, tools: Sequence[ToolSpec]) -> Prompt:
    """The prompt for the answer under way, `state.response`.

    What an earlier answer asked tools for stands before the caller's last words; what this one has said and asked for
    stands behind them. What nobody heard of an earlier answer is not in it.
    """
    response = state.response
    turns = list(state.turns())
    if response is None:
        return _prompt(state, turns, tools)
    if response.reminder:
        turns.append(Turn("user", NUDGE))
    own = [tool for tool in state.tools if tool.response_id == response.response_id and not tool.is_open]
    earlier = [tool for tool in state.tools if tool.response_id != response.response_id and not tool.is_open]
    last = _last_words(turns)
    told = (*turns[:last], *_used("", earlier), *turns[last:], *_used(response.text, own))
    return _prompt(state, told, tools)


def _prompt(state: Call, told: Sequence[Turn], tools: Sequence[ToolSpec]) -> Prompt:
    return Prompt(PERSONALITY, None, SESSION_TYPE, tuple(told), tuple(tools), state.instructions)


def _last_words(turns: Sequence[Turn]) -> int:
    """Where the user's last turns in a row begin."""
    at = len(turns)
    while at and turns[at - 1].role == "user":
        at -= 1
    return at


def _used(said: str, tools: Iterable[Tool]) -> Iterator[Turn]:
    """An assistant's turn with its calls, and each one's result at once behind it, as models want it."""
    settled = tuple(tools)
    if not said and not settled:
        return
    called = tuple(ToolCall(tool.call.tool_call_id, tool.call.name, tool.call.arguments) for tool in settled)
    yield Turn("assistant", said, called)
    for tool in settled:
        yield Turn("tool", _found(tool), tool_call_id=tool.call.tool_call_id)


def _found(tool: Tool) -> str:
    if tool.error is not None:
        return msgspec.json.encode({"error": tool.error}).decode()
    return tool.result or ""
