"""Dialogues without sockets, log or tasks: sans-I/O connections on deciders, one thing after the other.

A shell, an actor and an audience at their simplest: what they do is what the real ones must look like from outside.
The language model answers when the dialogue says so.
"""

from __future__ import annotations

import json
import shlex
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never
from urllib.parse import parse_qsl

from core.conversation import (
    AddReplyPiece,
    BeginReply,
    CompleteReply,
    Conversation,
    EndConversation,
    FailReply,
    GiveReply,
    MigrateConversation,
    OpenConversation,
    Say,
    conversation,
)
from core.decider import CommandRejected, Rejected
from core.dialect import Close, Connection, Dialect, Handshake, Hear, Listen, Output, Recall, Tell, Tune, Untune, Write
from core.identifiers import Category, StreamName
from core.messages import Accepted, Busy, Outcome, Recorded, Refused, Stamp, Unavailable

START = 1_735_862_400_000_000
"""2025-01-03, in µs; the stage's clock ticks a millisecond at every look."""


@dataclass(slots=True)
class Actor:
    """One stream, its state, and what became of the commands whose senders chose an id."""

    stream: StreamName
    state: Conversation = conversation.initial
    records: list[Recorded] = field(default_factory=list)
    outcomes: dict[str, Outcome] = field(default_factory=dict)


@dataclass(slots=True)
class Client:
    """One device: what it has got and not yet looked at. `version` None: it does not hear its stream yet."""

    connection: Connection
    dialect: Dialect
    connection_id: str
    stream: StreamName | None = None
    version: int | None = None
    got: deque[bytes | Close] = field(default_factory=deque)
    gone: bool = False


class Stage:
    """A whole server as far as clients of one dialect can tell."""

    def __init__(self, dialect_for: Callable[[Mapping[str, str]], Dialect], conversation_id: str) -> None:
        self.epoch, self.boot = "epoch-1", 1
        self.conversation_id = conversation_id
        self.clients: dict[str, Client] = {}
        self._dialect_for = dialect_for
        self._actors: dict[StreamName, Actor] = {}
        self._now, self._ids, self._connections, self._position = START, 0, 0, 0
        self._next_outcomes: deque[Outcome] = deque()

    def now(self) -> int:
        self._now += 1000
        return self._now

    def actor(self, id: str) -> Actor:
        stream = StreamName.of(Category.CONVERSATION, id)
        return self._actors.setdefault(stream, Actor(stream))

    # --- what clients do ---

    def connect(self, who: str, address: str) -> None:
        path, _, query = address.partition("?")
        self._connections += 1
        fields = dict(parse_qsl(query))
        path_fields = {"conversation_id": path.strip("/") or self.conversation_id}
        connection_id = f"{self.boot}.{self._connections}"
        dialect = self._dialect_for(fields)
        handshake = Handshake(connection_id, path_fields, fields, "anonymous", self.epoch)
        client = self.clients[who] = Client(dialect.connect(handshake), dialect, connection_id)
        self._do(client, client.connection.opened(self.now()))

    def send(self, who: str, frame: str | bytes) -> None:
        client = self.clients[who]
        self._do(client, client.connection.received(frame, self.now()))

    def leave(self, who: str) -> None:
        self._hang_up(self.clients[who])

    def _hang_up(self, client: Client) -> None:
        client.gone, client.version = True, None
        for output in client.connection.closed(self.now()):
            assert isinstance(output, Tell)
            self._tell(output.stream, output.command, origin=client.connection_id)

    def _do(self, client: Client, outputs: Sequence[Output]) -> None:
        for output in outputs:
            if client.gone:
                return
            match output:
                case Write(body):
                    client.got.append(body)
                case Listen(stream):
                    client.stream = stream
                case Tell(stream, command, command_id):
                    outcome = self._tell(stream, command, command_id, client.connection_id)
                    self._do(client, client.connection.settled(output, outcome, self.now()))
                case Hear(_, _, version):
                    client.version = version
                case Recall():
                    self._recall(client, output)
                case Close():
                    client.got.append(output)
                    self._hang_up(client)
                case Tune() | Untune():
                    raise AssertionError("no dialect on this stage hears wide topics")
                case _:
                    assert_never(output)

    def _recall(self, client: Client, recall: Recall) -> None:
        records = self._actors[recall.stream].records
        state = conversation.fold(conversation.initial, [record.event for record in records[: recall.since]])
        self._do(client, client.connection.recalled(recall.stream, state, recall.since, self.now()))
        for record in records[recall.since : recall.until]:
            state = conversation.fold(state, (record.event,))
            self._show(client, record, state)

    # --- what actors do ---

    def _tell(self, stream: StreamName, command: Any, command_id: str | None = None, origin: str = "") -> Outcome:
        if self._next_outcomes:
            return self._next_outcomes.popleft()
        actor = self._actors.get(stream) or Actor(stream)
        if command_id in actor.outcomes:
            return _again(actor.outcomes[command_id], actor)
        decided = conversation.decide(actor.state, command)
        if isinstance(decided, Rejected):
            known = actor.state.phase is not None
            records = self._record(actor, (CommandRejected.of(decided),), command_id, origin) if known else ()
            outcome: Outcome = Refused(decided, records)
        else:
            self._actors[stream] = actor
            records = self._record(actor, decided, command_id, origin)
            outcome = Accepted(records, actor.state, len(actor.records))
        if command_id is not None:
            actor.outcomes[command_id] = outcome
        return outcome

    def _record(self, actor: Actor, events: Sequence[Any], command_id: str | None, origin: str) -> tuple[Recorded, ...]:
        stamp = Stamp(f"correlation-{self._position}", self.now(), command_id, origin=origin)
        first = len(actor.records)
        for event in events:
            self._position += 1
            record = Recorded(self._position, actor.stream, len(actor.records) + 1, event, stamp)
            actor.records.append(record)
            actor.state = conversation.fold(actor.state, (event,))
            self._deliver(record, actor.state)
        return tuple(actor.records[first:])

    def _deliver(self, record: Recorded, state: Conversation) -> None:
        for client in list(self.clients.values()):
            if client.stream == record.stream and client.version is not None and client.version < record.version:
                client.version = record.version
                self._show(client, record, state)

    def _show(self, client: Client, record: Recorded, state: Conversation) -> None:
        frame, farewell = client.dialect.render(record, state), client.dialect.farewell(record, state)
        if frame is not None:
            client.got.append(frame.body)
        if farewell is not None:
            self._do(client, (farewell,))

    # --- what happens outside the sockets ---

    def outside(self, what: str) -> None:
        """What a dialogue's `*` line says."""
        method, _, rest = what.partition(" ")
        if method in {"POST", "PUT"}:
            path, _, body = rest.partition(" ")
            self._request(method, path.split("/")[2:], json.loads(body or "{}"))
        else:
            self._happen(shlex.split(what))

    def _request(self, method: str, path: list[str], body: dict[str, Any]) -> None:
        stream = StreamName.of(Category.CONVERSATION, self.conversation_id)
        match method, path:
            case "POST", ["v2", "conversations"]:
                self._tell(stream, OpenConversation(**body))
            case "POST", ["conversation"]:
                self._tell(stream, OpenConversation(created_via="legacy"))
            case "POST", ["v2", "conversations", "migrate"]:
                self._tell(stream, MigrateConversation())
            case "PUT", ["v2", "conversations", id, "end"]:
                self._tell(self.actor(id).stream, EndConversation())
            case "POST", ["conversations", id, "ai-response"]:
                self._tell(self.actor(id).stream, GiveReply(self._new_id(), **body))
            case "POST", ["v2", "conversations", id, "messages"]:
                self._tell(self.actor(id).stream, Say(self._new_id(), self._new_id(), body["content"]))
            case _:
                raise AssertionError(f"no such route on this stage: {method} {path}")

    def _happen(self, words: list[str]) -> None:
        match words:
            case ["model", "begins"]:
                self._draft(BeginReply("", "scripted"))
            case ["model", "says", text]:
                self._draft(AddReplyPiece("", 0, text))
            case ["model", "completes"]:
                self._draft(CompleteReply("", 0, ""))
            case ["model", "fails", reason, retry_after]:
                self._draft(FailReply("", reason, float(retry_after)))
            case ["mailbox", "is", "full", "once"]:
                self._next_outcomes.append(Busy(2.0))
            case ["log", "is", "unavailable", "once"]:
                self._next_outcomes.append(Unavailable("disk I/O error in /var/lib/callboard.db", 5.0))
            case ["command", "is", "poisoned", "once"]:
                self._next_outcomes.append(Refused(Rejected("poisoned", "The command crashed its actor")))
            case [who, "is", "throttled"]:
                client = self.clients[who]
                self._do(client, client.connection.throttled(0.5, self.now()))
            case ["server", "restarts"]:
                self.boot += 1
                self.clients.clear()
            case _:
                raise AssertionError(f"nothing like that happens on this stage: {words}")

    def _draft(self, command: BeginReply | AddReplyPiece | CompleteReply | FailReply) -> None:
        """The model's next step in the reply under way."""
        actor = self.actor(self.conversation_id)
        reply = actor.state.replies[0]
        match command:
            case BeginReply(_, model):
                command = BeginReply(reply.reply_id, model)
            case AddReplyPiece(_, _, text):
                command = AddReplyPiece(reply.reply_id, reply.attempt, text)
            case CompleteReply():
                command = CompleteReply(reply.reply_id, reply.attempt, reply.text)
            case FailReply(_, reason, retry_after):
                command = FailReply(reply.reply_id, reason, retry_after)
        self._tell(actor.stream, command)

    def _new_id(self) -> str:
        self._ids += 1
        return f"00000000-0000-7000-8000-{self._ids:012}"


def _again(outcome: Outcome, actor: Actor) -> Outcome:
    match outcome:
        case Accepted(records):
            return Accepted(records, actor.state, len(actor.records), repeated=True)
        case Refused(rejection, records):
            return Refused(rejection, records, repeated=True)
        case _:
            return outcome
