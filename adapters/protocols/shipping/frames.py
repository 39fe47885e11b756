"""What the server sends: the envelope, and each event as clients see it. Pure: an event gives the same bytes always."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, TypedDict
from uuid import UUID, uuid5

from msgspec import UNSET, Struct, UnsetType
from msgspec.json import Encoder

from adapters.protocols import wire
from core.dialect import Frame, Reach
from core.messages import Recorded
from core.session import (
    AnswerShared,
    ContextUpdated,
    Event,
    Question,
    RatesFailed,
    RatesQuoted,
    Request,
    RequestKind,
    Session,
    ToolCallFailed,
    ToolCallSucceeded,
)
from core.shipping import Rate

DERIVED = "requestId:"
"""What command ids begin with that are made of a `requestId` and the content it came with."""
NO_TEXT = ""
"""In place of an update's text, which is never empty, for what is no update."""

_UPDATES = UUID("0c7f3a54-93f4-5d0c-8a55-6d6f3e2a9b11")
_in_order = Encoder(order="deterministic").encode


class Envelope(Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every frame has behind what is its type's own; what is unset is not sent."""

    epoch: wire.Epoch | UnsetType = UNSET
    seq: wire.Version | UnsetType = UNSET
    recovered: wire.Recovered | UnsetType = UNSET
    timestamp: wire.Milliseconds
    requestId: str  # noqa: N815  # the wire's name
    user: str | None
    session_id: str
    command_id: wire.EchoedId | UnsetType = UNSET


class Pong(Envelope, frozen=True, tag="pong"):
    pass


class Failure(Struct, frozen=True):
    error: str
    original_request: dict[str, Any] | None
    retry_after: wire.RetryAfter | UnsetType = UNSET


class ToolResult(Envelope, frozen=True, tag="client_tool_result"):
    tool_call_id: str
    result: Any
    is_error: Literal[False]


class ToolFailure(Envelope, frozen=True, tag="client_tool_result"):
    tool_call_id: str
    result: Failure
    is_error: Literal[True]


class Quotes(TypedDict):
    """`fastest_option` is null where nothing is faster than the cheapest."""

    cheapest_option: Rate
    fastest_option: Rate | None
    all_options: list[Rate]


class QuoteReady(Envelope, frozen=True, tag="quote_ready"):
    payload: Quotes


class Complaint(Struct, frozen=True):
    """`original_request` is null where there was none, or none that can be repeated."""

    message: str
    original_request: dict[str, Any] | None
    retry_after: wire.RetryAfter | UnsetType = UNSET


class ErrorMessage(Envelope, frozen=True, tag="error"):
    payload: Complaint


class ContextualUpdate(Envelope, frozen=True, tag="contextual_update"):
    text: str
    data: Any


class UpdateReceived(Envelope, frozen=True, tag="contextual_update_received"):
    pass


class SessionRecord(TypedDict):
    user_info: Mapping[str, Any]
    created_at: wire.Milliseconds
    last_active: wire.Milliseconds
    state: Mapping[str, Any]


class SessionState(Envelope, frozen=True, tag="session_state"):
    state: SessionRecord


Said = Callable[..., Envelope]
"""A frame that waits for its envelope."""
PONG, UPDATE_RECEIVED = partial(Pong), partial(UpdateReceived)


class Place(TypedDict, total=False):
    """Where in the log a frame is, or its connection."""

    epoch: str
    seq: int
    recovered: bool


def envelope(
    said: Said, time: int, request_id: str, user: str | None, session_id: str, command_id: str | None, place: Place
) -> bytes:
    """A whole frame; `time` is µs UTC since the epoch, and milliseconds on the wire."""
    chosen = UNSET if command_id is None else command_id
    named = {"requestId": request_id, "user": user, "session_id": session_id, "command_id": chosen}
    return wire.encode(said(timestamp=milliseconds(time), **named, **place))


def milliseconds(time: int) -> int:
    return time // 1000


def tool_result(tool_call_id: str, result: Any) -> Said:
    return partial(ToolResult, tool_call_id, result, is_error=False)


def tool_failure(tool_call_id: str, error: str, original: dict[str, Any], retry_after: float | None = None) -> Said:
    return partial(ToolFailure, tool_call_id, Failure(error, original, _wait(retry_after)), is_error=True)


def quote_ready(quotes: Any) -> Said:
    return partial(QuoteReady, quotes)


def error(message: str, original: dict[str, Any] | None, retry_after: float | None = None) -> Said:
    """`retry_after`, in seconds, is there only where coming back helps."""
    return partial(ErrorMessage, Complaint(message, original, _wait(retry_after)))


def _wait(retry_after: float | None) -> float | UnsetType:
    return UNSET if retry_after is None else retry_after


def contextual_update(text: str, content: Any) -> Said:
    return partial(ContextualUpdate, text, content)


def session_state(state: Session) -> Said:
    """The whole record."""
    record: SessionRecord = {
        "user_info": state.user_info,
        "created_at": milliseconds(state.created_at),
        "last_active": milliseconds(state.last_active),
        "state": state.values,
    }
    return partial(SessionState, record)


def show(event: Event, state: Session) -> Said | None:
    """The frame of an event, after which the session is in `state`; None for what clients do not see, among it all that
    only `streams` knows."""
    match event:
        case ToolCallSucceeded(tool_call_id=id, result=result):
            return tool_result(id, result)
        case ToolCallFailed(tool_call_id=id, error=reason, original_request=original):
            return tool_failure(id, reason, original)
        case RatesQuoted(quotes=quotes):
            return quote_ready(quotes)
        case RatesFailed(error=reason, original_request=original):
            return error(reason, original)
        case ContextUpdated(text=text, content=content):
            return contextual_update(text, content)
        case AnswerShared(question=question):
            return PONG if question is Question.PING else session_state(state)
        case _:
            return None


def answer(request: Request) -> Said:
    """What a settled request led to, for somebody who asks again."""
    if request.kind is RequestKind.TOOL:
        if request.error is None:
            return tool_result(request.id, request.result)
        return tool_failure(request.id, request.error, request.original())
    return quote_ready(request.result) if request.error is None else error(request.error, request.original())


def render(record: Recorded, state: Session) -> Frame | None:
    """The frame of a record, and whom of the session it is for."""
    event = record.event
    said = show(event, state)
    if said is None:
        return None
    time, place, command_id = record.stamp.time, Place(seq=record.version), _command_id(record, state)
    body = envelope(said, time, event.request_id, state.user, record.stream.id, command_id, place)
    return Frame(body, to := reach(event), is_answer=to is Reach.OTHERS)


def _command_id(record: Recorded, state: Session) -> str | None:
    """What the client chose, where this comes of its command: at once, or later as the answer to it."""
    event = record.event
    if isinstance(event, AnswerShared) or (isinstance(event, ContextUpdated) and event.at is not None):
        return chosen_id(record.stamp.client_command_id)
    return state.settled[-1].command_id if state.settled else None  # the answer just given, or the news that it makes


def derived_id(request_id: str, text: str, content: Any) -> str:
    """The id of a command whose client chose a `requestId` alone: the same only for the same content."""
    return f"{DERIVED}{uuid5(_UPDATES, repr((request_id, text)) + _in_order(content).decode())}"


def chosen_id(command_id: str | None) -> str | None:
    """None for one that no client chose."""
    return None if command_id is None or command_id.startswith(DERIVED) else command_id


def reach(
    event: ToolCallSucceeded | ToolCallFailed | RatesQuoted | RatesFailed | ContextUpdated | AnswerShared,
) -> Reach:
    """An answer is for the asker, or for all. A client's own update follows its receipt, elsewhere."""
    if isinstance(event, AnswerShared):
        return Reach.EVERYONE
    if isinstance(event, ContextUpdated):
        return Reach.EVERYONE if event.at is None else Reach.OTHERS
    return Reach.EVERYONE if event.broadcast else Reach.ORIGIN
