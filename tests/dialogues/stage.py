"""Dialogues without sockets, log or tasks: sans-I/O connections on deciders, one thing after the other.

A shell, an actor and an audience at their simplest: what they do is what the real ones must look like from outside.
Each dialect has a stage of its own, with what happens there outside the sockets.
"""

from __future__ import annotations

import shlex
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, assert_never
from urllib.parse import parse_qsl

from adapters.opening import DECIDERS
from core.decider import CommandRejected, Rejected
from core.dialect import (
    Close,
    Connection,
    Dialect,
    Handshake,
    Hear,
    Listen,
    Output,
    Reach,
    Recall,
    Tell,
    Tune,
    Untune,
    Write,
)
from core.identifiers import Category, StreamName
from core.messages import Accepted, Busy, Outcome, Recorded, Refused, Stamp, Unavailable

ROLES = frozenset({"client", "operator", "auditor"})
"""What everybody may be where nobody is asked."""
START = 1_735_862_400_000_000
"""2025-01-03, in µs; the stage's clock ticks a millisecond at every look."""


@dataclass(slots=True)
class Actor:
    """One stream, its state, and what became of the commands whose senders chose an id."""

    stream: StreamName
    state: Any
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
    tuned: set[str] = field(default_factory=set)
    gone: bool = False


class Stage:
    """A whole server as far as clients of one dialect can tell.

    Those who name no path of their own connect to `id`, the value of the path's one parameter `parameter` ("": none).
    """

    def __init__(
        self, dialect_for: Callable[[Mapping[str, str]], Dialect], category: Category, parameter: str, id: str
    ) -> None:
        self.epoch, self.boot = "epoch-1", 1
        self.category, self.parameter, self.id = category, parameter, id
        self.clients: dict[str, Client] = {}
        self._dialect_for = dialect_for
        self._actors: dict[StreamName, Actor] = {}
        self._now, self._ids, self._connections, self._position = START, 0, 0, 0
        self.next_outcomes: deque[Outcome] = deque()
        self.lagging: deque[tuple[Recorded, Any]] | None = None

    @property
    def dialect(self) -> str:
        """What is spoken here, as the API reference calls it."""
        return self._dialect_for({}).name

    def now(self) -> int:
        self._now += 1000
        return self._now

    def actor(self, id: str) -> Actor:
        stream = StreamName.of(self.category, id)
        return self._actors.setdefault(stream, self._unborn(stream))

    def _unborn(self, stream: StreamName) -> Actor:
        return Actor(stream, DECIDERS[stream.category].initial)

    def mirror(self, records: Sequence[Recorded]) -> None:
        """Take over what a log holds, in place of what happened here."""
        self._actors.clear()
        for record in records:
            actor = self._actors.setdefault(record.stream, self._unborn(record.stream))
            actor.records.append(record)
            actor.state = DECIDERS[record.stream.category].fold(actor.state, (record.event,))

    def new_id(self) -> str:
        self._ids += 1
        return f"00000000-0000-7000-8000-{self._ids:012}"

    # --- what clients do ---

    def connect(self, who: str, address: str) -> None:
        path, _, query = address.partition("?")
        self._connections += 1
        fields = dict(parse_qsl(query))
        path_fields = {self.parameter: path.strip("/") or self.id} if self.parameter else {}
        connection_id = f"{self.boot}.{self._connections}"
        dialect = self._dialect_for(fields)
        handshake = Handshake(connection_id, path_fields, fields, "anonymous", self.epoch, self.new_id(), ROLES)
        client = self.clients[who] = Client(dialect.connect(handshake), dialect, connection_id)
        self._do(client, client.connection.opened(self.now()))

    def send(self, who: str, frame: str | bytes) -> None:
        client = self.clients[who]
        self._do(client, client.connection.received(frame, self.now()))

    def leave(self, who: str) -> None:
        self._hang_up(self.clients[who])

    def _hang_up(self, client: Client) -> None:
        client.gone, client.version, client.tuned = True, None, set()
        for output in client.connection.closed(self.now()):
            assert isinstance(output, Tell)
            self.tell(output.stream, output.command, origin=client.connection_id)

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
                    outcome = self.tell(stream, command, command_id, client.connection_id)
                    self._do(client, client.connection.settled(output, outcome, self.now()))
                case Hear(_, _, version):
                    client.version = version
                case Recall():
                    self._recall(client, output)
                case Tune(topic, after):
                    self._tune(client, topic, after)
                case Untune(topic):
                    client.tuned.discard(topic)
                case Close():
                    client.got.append(output)
                    self._hang_up(client)
                case _:
                    assert_never(output)

    def _recall(self, client: Client, recall: Recall) -> None:
        actor, decider = (
            self._actors.get(recall.stream) or self._unborn(recall.stream),
            DECIDERS[recall.stream.category],
        )
        records, since = actor.records, min(recall.since, len(actor.records))
        state = decider.fold(decider.initial, [record.event for record in records[:since]])
        self._do(client, client.connection.recalled(recall.stream, state, since, self.now()))
        for record in records[recall.since : recall.until]:
            state = decider.fold(state, (record.event,))
            self._show(client, record, state)

    def _tune(self, client: Client, topic: str, after: int | None) -> None:
        since = self._position if after is None else min(after, self._position)
        self._do(client, client.connection.tuned(topic, since, self.now()))
        client.tuned.add(topic)
        missed = (record for actor in self._actors.values() for record in actor.records if record.position > since)
        for record in sorted(missed, key=lambda record: record.position):
            self._show_wide(client, record, topic, again=True)

    # --- what actors do ---

    def tell(self, stream: StreamName, command: Any, command_id: str | None = None, origin: str = "") -> Outcome:
        if self.next_outcomes:
            return self.next_outcomes.popleft()
        actor, decider = self._actors.get(stream) or self._unborn(stream), DECIDERS[stream.category]
        if command_id in actor.outcomes:
            return _again(actor.outcomes[command_id], actor)
        decided = decider.decide(actor.state, command)
        if isinstance(decided, Rejected):
            known = bool(actor.records)
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
            actor.state = DECIDERS[actor.stream.category].fold(actor.state, (event,))
            self._deliver(record, actor.state)
        return tuple(actor.records[first:])

    def _deliver(self, record: Recorded, state: Any) -> None:
        if self.lagging is None:
            self._show_to_all(record, state)
        else:
            self.lagging.append((record, state))

    def _catch_up(self) -> None:
        lagging, self.lagging = self.lagging or (), None
        for record, state in lagging:
            self._show_to_all(record, state)

    def _show_to_all(self, record: Recorded, state: Any) -> None:
        for client in list(self.clients.values()):
            if client.stream == record.stream and client.version is not None and client.version < record.version:
                client.version = record.version
                self._show(client, record, state)
            for topic in client.dialect.topics(record):
                if topic in client.tuned:
                    self._show_wide(client, record, topic)

    def _show(self, client: Client, record: Recorded, state: Any) -> None:
        frame, farewell = client.dialect.render(record, state), client.dialect.farewell(record, state)
        if frame is not None and _is_for(frame.to, record, client):
            client.got.append(frame.body)
        if farewell is not None and _is_for(farewell.to, record, client):
            self._do(client, (Close(farewell.code, farewell.reason),))

    def _show_wide(self, client: Client, record: Recorded, topic: str, *, again: bool = False) -> None:
        """What is shown again is shown to whom it comes from, too."""
        if topic in client.dialect.topics(record):
            frame = client.dialect.render_wide(record, topic)
            if frame is not None and (again or _is_for(frame.to, record, client)):
                client.got.append(frame.body)

    # --- what happens outside the sockets ---

    def outside(self, what: str) -> None:
        """What a dialogue's `*` line says."""
        if not self.happen(shlex.split(what)):
            raise AssertionError(f"nothing like that happens on this stage: {what}")

    def happen(self, words: list[str]) -> bool:
        """What may happen on any stage; False when this cannot."""
        match words:
            case ["mailbox", "is", "full", "once"]:
                self.next_outcomes.append(Busy(2.0))
            case ["log", "is", "unavailable", "once"]:
                self.next_outcomes.append(Unavailable("disk I/O error in /var/lib/callboard.db", 5.0))
            case ["command", "is", "poisoned", "once"]:
                self.next_outcomes.append(Refused(Rejected("poisoned", "The command crashed its actor")))
            case [who, "is", "throttled"]:
                client = self.clients[who]
                self._do(client, client.connection.throttled(0.5, self.now()))
            case ["audience", "lags"]:
                self.lagging = deque()
            case ["audience", "catches", "up"]:
                self._catch_up()
            case ["server", "restarts"]:
                self.boot += 1
                self.clients.clear()
            case _:
                return False
        return True


def _is_for(to: Reach, record: Recorded, client: Client) -> bool:
    is_origin = record.stamp.origin == client.connection_id
    return to is Reach.EVERYONE or is_origin == (to is Reach.ORIGIN)


def _again(outcome: Outcome, actor: Actor) -> Outcome:
    match outcome:
        case Accepted(records):
            return Accepted(records, actor.state, len(actor.records), repeated=True)
        case Refused(rejection, records):
            return Refused(rejection, records, repeated=True)
        case _:
            return outcome
