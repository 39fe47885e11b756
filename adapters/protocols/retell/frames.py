"""What the server sends, and each event as the platform sees it. Pure: an event gives the same bytes always.

Nothing is in a frame that is not in the platform's own documents, and nothing is null: what is unset is not sent.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from adapters.protocols import wire
from core.call import (
    AgentAdjusted,
    Answer,
    CallerInterrupted,
    GreetingGiven,
    MetadataShown,
    ResponseCompleted,
    ResponseFailed,
    ResponsePieceAdded,
    ToolFailed,
    ToolRequested,
    ToolSucceeded,
)

GREETING_ID = 0
"""The response id of what is said before anything was asked."""


class Wanted(Struct, frozen=True):
    """What the platform shall do: open a socket again where one is lost, and say what is known of the call."""

    auto_reconnect: bool
    call_details: bool


class Config(Struct, frozen=True, tag_field="response_type", tag="config"):
    config: Wanted


class Pong(Struct, frozen=True, tag_field="response_type", tag="ping_pong"):
    timestamp: Annotated[Raw, Meta(extra_json_schema={"type": "number"})]


class Response(Struct, frozen=True, tag_field="response_type", tag="response"):
    response_id: int
    content: str
    content_complete: bool
    end_call: bool
    no_interruption_allowed: bool | UnsetType = UNSET
    transfer_number: str | UnsetType = UNSET
    digit_to_press: str | UnsetType = UNSET


class ToolCallInvocation(Struct, frozen=True, tag_field="response_type", tag="tool_call_invocation"):
    """`arguments` are JSON, as a text."""

    tool_call_id: str
    name: str
    arguments: str


class ToolCallResult(Struct, frozen=True, tag_field="response_type", tag="tool_call_result"):
    tool_call_id: str
    content: str
    successful: bool


class Metadata(Struct, frozen=True, tag_field="response_type", tag="metadata"):
    metadata: dict[str, Any]


class AgentInterrupt(Struct, frozen=True, tag_field="response_type", tag="agent_interrupt"):
    interrupt_id: int
    content: str
    content_complete: bool


class UpdateAgent(Struct, frozen=True, tag_field="response_type", tag="update_agent"):
    agent_config: dict[str, Any]


Shown = (
    Config | Pong | Response | ToolCallInvocation | ToolCallResult | Metadata | AgentInterrupt | UpdateAgent
)  # fmt: skip

CONFIG = Config(Wanted(auto_reconnect=True, call_details=True))


def show(event: Any) -> Shown | None:  # one row of the contract each
    """The frame of an event, None where the platform sees none."""
    match event:
        case GreetingGiven(content):
            return Response(GREETING_ID, content, content_complete=True, end_call=False)
        case ResponsePieceAdded(response_id, _, _, text):
            return Response(response_id, text, content_complete=False, end_call=False)
        case ResponseCompleted():
            return _last(event, event.rest)
        case ResponseFailed(response_id, _, sorry, text):
            return apology(response_id, sorry, behind=text)
        case ToolRequested(tool_call_id, name, arguments):
            return ToolCallInvocation(tool_call_id, name, arguments)
        case ToolSucceeded(tool_call_id, result):
            return ToolCallResult(tool_call_id, result, successful=True)
        case ToolFailed(tool_call_id, error):
            return ToolCallResult(tool_call_id, error, successful=False)
        case MetadataShown(metadata):
            return Metadata(_without_nulls(metadata))
        case CallerInterrupted(interrupt_id, content):
            return AgentInterrupt(interrupt_id, content, content_complete=True)
        case AgentAdjusted(agent_config):
            return UpdateAgent(_without_nulls(agent_config))
        case _:
            return None


def apology(response_id: int, sorry: str, *, behind: str = "") -> Response:
    """The last frame of an answer that failed; `behind` is what had been said of it."""
    return Response(response_id, f" {sorry}" if behind else sorry, content_complete=True, end_call=False)


def whole(answer: Answer) -> Response:
    """The answer in one frame, for a socket that heard nothing of it."""
    return _last(answer, answer.text)


def encode(shown: Shown) -> bytes:
    return wire.encode(shown)


def _last(answer: Answer | ResponseCompleted, content: str) -> Response:
    return Response(
        answer.response_id,
        content,
        content_complete=True,
        end_call=answer.end_call,
        no_interruption_allowed=answer.no_interruption_allowed or UNSET,
        transfer_number=answer.transfer_number or UNSET,
        digit_to_press=answer.digit_to_press or UNSET,
    )


def _without_nulls(value: Any) -> Any:
    match value:
        case dict():
            return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
        case list() | tuple():
            return [_without_nulls(inner) for inner in value if inner is not None]
        case _:
            return value
