"""What the dialect says of itself in the API reference."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from adapters.protocols import wire
from adapters.protocols.shipping import frames
from adapters.protocols.shipping.requests import MAX_ID, MAX_TEXT
from core.dialect import Described, Reference
from core.session import TOOLS

Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID)]


class Asked(Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every frame of a client may have; a session is named by the query alone."""

    requestId: Annotated[Id | None, Meta(description="Echoed by what answers; made up without one.")] = None  # noqa: N815  # the wire's name
    broadcast: Annotated[bool | None, Meta(description="The session's other devices get the answer too.")] = None
    command_id: wire.CommandId = None


class Ping(Asked, frozen=True, tag="ping"):
    pass


class StateWanted(Asked, frozen=True, tag="get_session_state"):
    pass


class ContextNews(Asked, frozen=True, tag="contextual_update"):
    text: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
    data: Any = None


class RatesWanted(Asked, frozen=True, tag="get_rates"):
    payload: Annotated[
        dict[str, Any],
        Meta(description="origin_zip, destination_zip and weight; dimensions and pickup_requested, if wanted."),
    ]


class Call(Struct, frozen=True):
    tool_name: Annotated[Id, Meta(examples=sorted(TOOLS))]
    tool_call_id: Annotated[Id, Meta(description="The same id with the same content is the same call, for ever.")]
    parameters: dict[str, Any] | None = None


class ToolCall(Asked, frozen=True, tag="client_tool_call"):
    client_tool_call: Call


class Query(Struct, frozen=True):
    """What stands behind the path's question mark."""

    session_id: (
        Annotated[str, Meta(description="The session to join; any other than one's own is a new one.")] | UnsetType
    ) = UNSET
    since: wire.Since | UnsetType = UNSET
    epoch: wire.Epoch | UnsetType = UNSET


RECEIVED = (
    Described("ping", Ping, "A sign of life is wanted."),
    Described("client_tool_call", ToolCall, "A tool of the voice agent's is to be used."),
    Described("get_rates", RatesWanted, "What a shipment would cost."),
    Described("contextual_update", ContextNews, "News for all devices of the session."),
    Described("get_session_state", StateWanted, "What is known of the session."),
)

SENT = (
    Described("pong", frames.Pong, "The sign of life."),
    Described("client_tool_result", frames.ToolResult, "What the tool gave; news of it follow."),
    Described("client_tool_failure", frames.ToolFailure, "A `client_tool_result` too: why the tool gave nothing."),
    Described("quote_ready", frames.QuoteReady, "What the shipment would cost."),
    Described("contextual_update_received", frames.UpdateReceived, "The news are recorded, and follow."),
    Described("contextual_update", frames.ContextualUpdate, "News for the session, its sender among it."),
    Described("session_state", frames.SessionState, "What is known of the session."),
    Described("error", frames.ErrorMessage, "What was sent was not done; the connection stays."),
)

REFERENCE = Reference(
    "shipping",
    "One user's devices share a session, ask for rates and labels, and tell each other news. There is no greeting: the "
    "first frame that answers says `seq`, `epoch` and `recovered`.",
    RECEIVED,
    SENT,
    closes={
        1011: "the session cannot be joined (an `error` before it says so)",
        1013: "the session is too busy now (an `error` before it says when to come back)",
        4008: "too much was sent before the session was joined",
    },
    query=Query,
)
