"""What an operator may tell a stream: the commands that make sense from outside, with the operator's name on each.

What only effects tell (a draft's pieces, a tool's result) and what only a connection can say of itself is not among
them: it would claim something that did not happen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct
from quart import Blueprint, Response

from actors.system import System
from adapters.web import auth
from adapters.web.answers import Problem, accepted, answer, unprocessable
from adapters.web.audit import auditor
from adapters.web.auth import Role
from adapters.web.described import Keyed, described
from adapters.web.requests import UNKNOWN, body_of, no_stream, stamp_of, stream_named
from core import call, channel, conversation, session
from core.identifiers import Category, StreamName
from core.messages import Stamp
from eventstore.codec import commands, events

CHOSEN_HERE = frozenset({"message_id", "reply_id", "request_id", "interrupt_id"})
"""Ids that the server makes where they are left out."""
KNOWN_HERE = frozenset({"now", "channel"})
"""Fields that nobody is asked for."""


@dataclass(frozen=True)
class Offer:
    """A command that an operator may send, and what it does in one line."""

    command: type[Struct]
    summary: str

    @cached_property
    def name(self) -> str:
        return commands.name_of(self.command).rpartition("/")[0]

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of what is to be given."""
        whole = msgspec.json.schema(self.command)
        shared = whole["$defs"]
        schema: dict[str, Any] = shared.pop(self.command.__name__)
        asked = {name: field for name, field in schema["properties"].items() if name not in KNOWN_HERE}
        required = [name for name in schema["required"] if name in asked.keys() - CHOSEN_HERE]
        return {**schema, "properties": asked, "required": required} | ({"$defs": shared} if shared else {})


OFFERS: Mapping[Category, tuple[Offer, ...]] = {
    Category.CONVERSATION: (
        Offer(conversation.Say, "Say something as the user; the assistant answers."),
        Offer(conversation.GiveReply, "Say something as the assistant; no model is asked."),
        Offer(conversation.UpdateTranscript, "Tell what was heard, so far or for good."),
        Offer(conversation.RequestPhase, "Move the conversation to another phase."),
        Offer(conversation.EndConversation, "End the conversation."),
    ),
    Category.SESSION: (
        Offer(session.Chat, "Say something to all devices."),
        Offer(session.SetValue, "Set a value that all devices share."),
        Offer(session.UpdateContext, "Give the session another context."),
        Offer(session.DisconnectDevices, "Close all connections; the session stays."),
        Offer(session.ExpireSession, "End the session if its time is over and nobody is there."),
    ),
    Category.CALL: (
        Offer(call.InterruptCaller, "Have the agent say something at once."),
        Offer(call.ShowMetadata, "Show the platform's front end something."),
        Offer(call.AdjustAgent, "Change settings of the platform's agent."),
        Offer(call.EndCall, "Hang up."),
    ),
    Category.CHANNEL: (Offer(channel.Publish, "Publish something on the channel."),),
    Category.AUDIT: (),
    Category.DELIVERY: (),
}


class OfferedCommand(Struct, frozen=True):
    """`schema` is a JSON Schema of the command's body; ids that it does not require are made where they are left
    out."""

    name: str
    summary: str
    schema: dict[str, Any]


class OfferedCommands(Struct, frozen=True):
    commands: list[OfferedCommand]


class CommandBody(Struct, frozen=True):
    """`name` is one of those offered for the stream's category, `body` what its schema describes."""

    name: Annotated[str, Meta(max_length=128)]
    body: dict[str, Any] = {}


class LedTo(Struct, frozen=True):
    version: int
    event: str


class CommandAccepted(Struct, frozen=True):
    """`version` is what the stream came to with these events. There are none where nothing was left to be done."""

    outcome: Literal["accepted"]
    version: int
    events: list[LedTo]


def console_commands_blueprint(system: System) -> Blueprint:
    """`/api/console/commands/<category>` and `/api/console/streams/<name>/commands`."""
    routes = Blueprint("console_commands", __name__)

    @routes.get("/api/console/commands/<category>")
    @described(OfferedCommands, 404)
    async def list_commands(category: str) -> Response:
        """What an operator may tell streams of a category. For the roles auditor and operator."""
        auditor()
        if category not in tuple(Category):
            raise Problem(404, "There is no such category")
        offers = OFFERS[Category(category)]
        return answer(OfferedCommands([OfferedCommand(it.name, it.summary, it.schema) for it in offers]))

    @routes.post("/api/console/streams/<path:name>/commands")
    @described(CommandAccepted, 404, 409, body=CommandBody, headers=Keyed)
    async def send_command(name: str) -> Response:
        """Tell a stream something. It is recorded with the operator's name, also where it is refused. For the role
        operator."""
        auth.require(Role.OPERATOR)
        asked, stamp, stream = await body_of(CommandBody), stamp_of(system), stream_named(name, UNKNOWN)
        command = await _command(system, stream, stamp, asked)
        outcome = accepted(await system.ask(stream, command, stamp))
        caused = [LedTo(it.version, events.name_of(type(it.event)).rpartition("/")[0]) for it in outcome.records]
        version = caused[-1].version if caused else outcome.version
        return answer(CommandAccepted("accepted", version, caused))

    return routes


async def _command(system: System, stream: StreamName, stamp: Stamp, asked: CommandBody) -> Any:
    """The command as it is to be decided. Raises Problem 404 for an unborn stream and 422, StoreUnavailable."""
    offer = next((offer for offer in OFFERS[stream.category] if offer.name == asked.name), None)
    if offer is None:
        known = ", ".join(offer.name for offer in OFFERS[stream.category]) or "nothing"
        raise unprocessable((("body", "name"), f"Such a stream may be told {known}"))
    state, version = await system.look(stream)
    if not version:
        raise no_stream(UNKNOWN)
    new = system.identifiers.new
    chosen = {"message_id": new(), "reply_id": new(), "request_id": new(), "interrupt_id": version + 1}
    here = {"now": stamp.time, "channel": getattr(state, "name", None)}
    fields = {field.name for field in msgspec.structs.fields(offer.command)}
    given = {name: value for name, value in (chosen | asked.body | here).items() if name in fields}
    try:
        return msgspec.convert(given, offer.command)
    except msgspec.ValidationError as fault:
        raise unprocessable((("body", "body"), str(fault))) from None
