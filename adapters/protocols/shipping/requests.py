"""What clients send: a frame is read into what it asks for, or refused as unreadable.

A session is named by the connection's URL alone. What a frame says of sessions (`session_id`, `metadata`) is not read:
whoever believed it would show labels to other people.
"""

from __future__ import annotations

from typing import Any

from msgspec import Raw, Struct
from msgspec.json import Decoder

from adapters.protocols import wire

MAX_ID = 128
"""Characters in a client's `requestId` and `tool_call_id`, and in a tool's name."""
MAX_TEXT = 10_000
"""Characters in a contextual update's text."""
MAX_REPEATED = 32_768
"""Characters of a frame up to which an error repeats it."""


class Envelope(Struct, frozen=True):
    """A client's frame, its fields still raw, so that a wrong one is told from malformed JSON."""

    type: Raw = wire.NULL
    requestId: Raw = wire.NULL  # noqa: N815  # the wire's name
    broadcast: Raw = wire.NULL
    command_id: Raw = wire.NULL
    client_tool_call: Raw = wire.NULL
    payload: Raw = wire.NULL
    text: Raw = wire.NULL
    data: Raw = wire.NULL


class CallFields(Struct, frozen=True):
    """The inside of a `client_tool_call`, raw as well."""

    tool_name: Raw = wire.NULL
    tool_call_id: Raw = wire.NULL
    parameters: Raw = wire.NULL


class ToolCall(Struct, frozen=True):
    tool_call_id: str
    tool_name: str
    parameters: dict[str, Any]

    def original(self) -> dict[str, Any]:
        """What was asked, as the client gets it back with an error."""
        return {"tool_name": self.tool_name, "tool_call_id": self.tool_call_id, "parameters": self.parameters}


class RatesWanted(Struct, frozen=True):
    shipment: dict[str, Any]


class ContextNews(Struct, frozen=True):
    text: str
    content: Any = None


class StateWanted(Struct, frozen=True):
    pass


class Ping(Struct, frozen=True):
    pass


Request = ToolCall | RatesWanted | ContextNews | StateWanted | Ping


class Asked(Struct, frozen=True):
    """A whole frame. `request_id` None: the client chose none. `broadcast`: the session's others get the answer too."""

    request: Request
    request_id: str | None = None
    broadcast: bool = False
    command_id: str | None = None


class UnreadableFrame(Exception):
    """A client's frame that asks for nothing we know; it is answered with an error frame, and nothing else happens."""

    def __init__(
        self,
        message: str,
        original: dict[str, Any] | None = None,
        request_id: str | None = None,
        command_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message, self.original, self.request_id, self.command_id = message, original, request_id, command_id


_ENVELOPE = Decoder(Envelope)
_CALL = Decoder(CallFields)
_OBJECT: Decoder[dict[str, Any]] = Decoder(dict[str, Any])
_BOOL: Decoder[bool | None] = Decoder(bool | None)
_ANY: Decoder[Any] = Decoder()


def read_asked(frame: str | bytes) -> Asked:
    """Raises UnreadableFrame."""
    try:
        envelope = wire.read_object(frame, _ENVELOPE)
    except wire.MalformedFrame as error:
        raise UnreadableFrame(str(error)) from None
    request_id = command_id = None
    try:
        if not _is_null(envelope.requestId):
            request_id = _read_id(envelope.requestId, "requestId")
        command_id = wire.read_command_id(envelope.command_id)
        broadcast = bool(wire.read_field(envelope.broadcast, "broadcast", _BOOL))
        return Asked(_read_request(envelope), request_id, broadcast, command_id)
    except wire.WrongField as error:
        raise UnreadableFrame(str(error), _original(frame), request_id, command_id) from None


def _read_request(envelope: Envelope) -> Request:
    match _read_id(envelope.type, "type"):
        case "client_tool_call":
            return _read_call(_required(envelope.client_tool_call, "client_tool_call"))
        case "get_rates":
            return RatesWanted(_read_object(_required(envelope.payload, "payload"), "payload"))
        case "contextual_update":
            return ContextNews(_read_limited(envelope.text, "text", MAX_TEXT), _read_any(envelope.data, "data"))
        case "get_session_state":
            return StateWanted()
        case "ping":
            return Ping()
        case kind:
            raise wire.WrongField(f"Unknown message type: {wire.excerpt(kind)}")


def _read_call(raw: Raw) -> ToolCall:
    """Parameters may be left out, as a tool may need none; which one needs is told by its result."""
    call = wire.read_field(raw, "client_tool_call", _CALL)
    id = _read_id(call.tool_call_id, "tool_call_id")
    parameters = {} if _is_null(call.parameters) else _read_object(call.parameters, "parameters")
    return ToolCall(id, _read_id(call.tool_name, "tool_name"), parameters)


def _read_object(raw: Raw, name: str) -> dict[str, Any]:
    value = wire.read_field(raw, name, _OBJECT)
    wire.check_depth(value, name)
    return value


def _read_any(raw: Raw, name: str) -> Any:
    value = wire.read_field(raw, name, _ANY)
    wire.check_depth(value, name)
    return value


def _read_id(raw: Raw, name: str) -> str:
    return _read_limited(raw, name, MAX_ID)


def _read_limited(raw: Raw, name: str, most: int) -> str:
    text = wire.read_text(_required(raw, name), name)
    if not 1 <= len(text) <= most:
        raise wire.WrongField(f"`{name}` is a text of 1 to {most} characters")
    return text


def _required(raw: Raw, name: str) -> Raw:
    if _is_null(raw):
        raise wire.WrongField(f"Missing required field: {name}")
    return raw


def _is_null(raw: Raw) -> bool:
    return bytes(raw) == b"null"


def _original(frame: str | bytes) -> dict[str, Any] | None:
    """The frame as an error repeats it; None for one that is too long or too deep."""
    if len(frame) > MAX_REPEATED:
        return None
    try:
        return _read_object(Raw(frame.encode() if isinstance(frame, str) else frame), "frame")
    except wire.WrongField:
        return None
