"""What the server sends: the envelope, and each event as clients see it. Pure: an event gives the same bytes always."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid5

from msgspec.json import Encoder

from adapters.protocols import wire
from core.dialect import Frame, Reach
from core.messages import Recorded
from core.session import (
    ContextUpdated,
    Event,
    RatesFailed,
    RatesQuoted,
    Request,
    RequestKind,
    Session,
    ToolCallFailed,
    ToolCallSucceeded,
)

Fields = dict[str, Any]
"""A frame's type and what is its type's own."""
DERIVED = "requestId:"
"""What command ids begin with that are made of a `requestId` and the content it came with."""

_UPDATES = UUID("0c7f3a54-93f4-5d0c-8a55-6d6f3e2a9b11")
_in_order = Encoder(order="deterministic").encode


def envelope(
    fields: Fields, time: int, request_id: str, user: str | None, session_id: str, command_id: str | None = None
) -> bytes:
    """A whole frame; `time` is µs UTC since the epoch, and milliseconds on the wire."""
    rest = {"timestamp": milliseconds(time), "requestId": request_id, "user": user, "session_id": session_id}
    chosen = {} if command_id is None else {"command_id": command_id}
    return wire.encode({**fields, **rest, **chosen})


def milliseconds(time: int) -> int:
    return time // 1000


def tool_result(tool_call_id: str, result: Any) -> Fields:
    return {"type": "client_tool_result", "tool_call_id": tool_call_id, "result": result, "is_error": False}


def tool_failure(tool_call_id: str, error: str, original: Any, retry_after: float | None = None) -> Fields:
    result = {"error": error, "original_request": original, **_wait(retry_after)}
    return {"type": "client_tool_result", "tool_call_id": tool_call_id, "result": result, "is_error": True}


def quote_ready(quotes: Any) -> Fields:
    return {"type": "quote_ready", "payload": quotes}


def error(message: str, original: Any, retry_after: float | None = None) -> Fields:
    """`retry_after`, in seconds, is there only where coming back helps."""
    return {"type": "error", "payload": {"message": message, "original_request": original, **_wait(retry_after)}}


def _wait(retry_after: float | None) -> Fields:
    return {} if retry_after is None else {"retry_after": retry_after}


def contextual_update(text: str, content: Any) -> Fields:
    return {"type": "contextual_update", "text": text, "data": content}


def session_state(state: Session) -> Fields:
    """The whole record."""
    record = {
        "user_info": state.user_info,
        "created_at": milliseconds(state.created_at),
        "last_active": milliseconds(state.last_active),
        "state": state.values,
    }
    return {"type": "session_state", "state": record}


def show(event: Event) -> Fields | None:
    """The frame of an event; None for what clients do not see, among it all that only `streams` knows."""
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
        case _:
            return None


def answer(request: Request) -> Fields:
    """What a settled request led to, for somebody who asks again."""
    if request.kind is RequestKind.TOOL:
        if request.error is None:
            return tool_result(request.id, request.result)
        return tool_failure(request.id, request.error, request.original())
    return quote_ready(request.result) if request.error is None else error(request.error, request.original())


def render(record: Recorded, state: Session) -> Frame | None:
    """The frame of a record, and whom of the session it is for."""
    event = record.event
    fields = show(event)
    if fields is None:
        return None
    time, placed = record.stamp.time, {**fields, "seq": record.version}
    body = envelope(placed, time, event.request_id, state.user, record.stream.id, _command_id(record, state))
    return Frame(body, reach(event))


def _command_id(record: Recorded, state: Session) -> str | None:
    """What the client chose, where this comes of its command: at once, or later as the answer to it."""
    if isinstance(record.event, ContextUpdated) and record.event.at is not None:
        return chosen_id(record.stamp.client_command_id)
    return state.settled[-1].command_id if state.settled else None  # the answer just given, or the news that it makes


def derived_id(request_id: str, text: str, content: Any) -> str:
    """The id of an update whose client chose a `requestId` alone: the same only for the same content."""
    return f"{DERIVED}{uuid5(_UPDATES, repr((request_id, text)) + _in_order(content).decode())}"


def chosen_id(command_id: str | None) -> str | None:
    """None for one that no client chose."""
    return None if command_id is None or command_id.startswith(DERIVED) else command_id


def reach(event: ToolCallSucceeded | ToolCallFailed | RatesQuoted | RatesFailed | ContextUpdated) -> Reach:
    """An answer is for the asker, or for all. A client's own update follows its receipt, elsewhere."""
    if isinstance(event, ContextUpdated):
        return Reach.EVERYONE if event.at is None else Reach.OTHERS
    return Reach.EVERYONE if event.broadcast else Reach.ORIGIN
