"""What a language model is told: a prompt as chat messages. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapters.gateways.voices import voice_of
from core.ports import Prompt, ToolCall, Turn

if TYPE_CHECKING:
    from openai.types.chat import (
        ChatCompletionFunctionToolParam,
        ChatCompletionMessageFunctionToolCallParam,
        ChatCompletionMessageParam,
    )

_ROLE = (
    "You are a partner for spoken conversation practice. Your words are read aloud: answer in one to four short"
    " sentences of plain text, without lists, headings, links or emoji. React to what was said, then hand the turn"
    " back, usually with one open question. Answer in the user's language."
)
_SESSIONS = {
    "daily": "This is the user's daily practice: keep it light and about their day and life.",
    "test": "This is a technical test of the connection: answer in one short sentence.",
}
MAX_TOPIC = 300
"""Characters of a topic the model is told; topics come from users."""


def instructions(prompt: Prompt) -> str:
    """The system prompt: the prompt's own, or the one for this personality, topic and type of session."""
    if prompt.instructions is not None:
        return prompt.instructions
    session = _SESSIONS.get(prompt.session_type, f"The session's type is {_quoted(prompt.session_type)}.")
    topic = f"The topic is {_quoted(prompt.topic)}; lead gently back to it." if _is_given(prompt.topic) else ""
    return " ".join(part for part in (_ROLE, voice_of(prompt.personality).manner, session, topic) if part)


def messages(prompt: Prompt) -> list[ChatCompletionMessageParam]:
    """The system prompt, then the turns."""
    return [{"role": "system", "content": instructions(prompt)}, *(_message(turn) for turn in prompt.turns)]


def tools(prompt: Prompt) -> list[ChatCompletionFunctionToolParam]:
    """The tools on offer, as the API has them."""
    return [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.schema)},
        }
        for tool in prompt.tools
    ]


def _message(turn: Turn) -> ChatCompletionMessageParam:
    match turn.role:
        case "tool":
            return {"role": "tool", "content": turn.content, "tool_call_id": turn.tool_call_id or ""}
        case "assistant" if turn.tool_calls:
            calls = [_called(call) for call in turn.tool_calls]
            return {"role": "assistant", "content": turn.content or None, "tool_calls": calls}
        case "assistant":
            return {"role": "assistant", "content": turn.content}
        case _:
            return {"role": "user", "content": turn.content}


def _called(call: ToolCall) -> ChatCompletionMessageFunctionToolCallParam:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _is_given(text: str | None) -> bool:
    return bool(text and text.strip())


def _quoted(text: str | None) -> str:
    """The user's words as one short quotation, so that they do not read as instructions."""
    return '"' + " ".join((text or "").split())[:MAX_TOPIC].replace('"', "'") + '"'
