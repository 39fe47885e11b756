"""What a client asked for, as the command its session is told; and the request an earlier asking made."""

from __future__ import annotations

from typing import assert_never

from adapters.protocols.shipping.requests import Asked, ContextNews, Ping, RatesWanted, StateWanted, ToolCall
from core.dialect import Tell
from core.messages import Accepted
from core.session import (
    Command,
    ExpireSession,
    Question,
    RatesRequested,
    Request,
    RequestKind,
    RequestRates,
    RequestRepeated,
    RequestToolCall,
    Session,
    ShareAnswer,
    ToolCallRequested,
    UpdateContext,
)


class Ask(Tell, frozen=True):
    """A command, and what the client wanted by it."""

    asked: Asked = Asked(Ping())
    request_id: str = ""


def command_of(asked: Asked, request_id: str, now: int) -> Command:
    """What the actor is told. Looking at a session is the command that changes nothing while a device is there.

    Raises ValueError for a ping whose answer nobody else gets, which is nobody's command.
    """
    match asked.request:
        case ToolCall(id, name, parameters):
            return RequestToolCall(id, name, parameters, request_id, now, asked.broadcast, asked.command_id)
        case RatesWanted(shipment):
            return RequestRates(request_id, shipment, now, asked.broadcast, asked.command_id)
        case ContextNews(text, content):
            return UpdateContext(text, request_id, now, content)
        case StateWanted():
            return ShareAnswer(Question.STATE, request_id) if asked.broadcast else ExpireSession(now)
        case Ping() if asked.broadcast:
            return ShareAnswer(Question.PING, request_id)
        case Ping():
            raise ValueError("a ping is answered by the connection")
        case _:
            assert_never(asked.request)


def find_request(command: Command, outcome: Accepted) -> Request | None:
    """The request that was made before, instead of by this command; None when it is not remembered."""
    state: Session = outcome.state
    for record in outcome.records:
        if isinstance(record.event, ToolCallRequested | RatesRequested | RequestRepeated):
            number = record.event.number
            return next((one for one in (*state.open, *state.settled) if one.number == number), None)
    match command:
        case RequestToolCall(id, name, parameters):
            return state.find(RequestKind.TOOL, id, name, parameters)
        case RequestRates(id, shipment):
            return state.find(RequestKind.RATES, id, "", shipment)
        case _:
            return None
