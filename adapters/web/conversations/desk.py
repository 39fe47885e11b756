"""What all REST routes do with a conversation: find it, ask it, wait for its answers, see what sockets were sent."""

from __future__ import annotations

import uuid
from typing import Any, TypeVar

import msgspec
import trio
from msgspec import Struct

from actors.system import System
from adapters.protocols.conversations import CONVERSATIONS
from adapters.protocols.wire import iso_time
from adapters.web.answers import Problem, accepted, not_found, unprocessable
from adapters.web.auth import ANYBODY, current_visitor
from adapters.web.correlation import current_correlation
from adapters.web.requests import command_id
from adapters.web.settings import WebSettings
from core.conversation import (
    Command,
    Conversation,
    EndConversation,
    MessageSaid,
    Phase,
    PhaseEntered,
    ReplyFailed,
    ReplyInterrupted,
    Say,
    conversation,
)
from core.identifiers import Category, StreamName
from core.messages import Accepted, Recorded, Stamp

T = TypeVar("T")

APOLOGY = "I'm sorry, I cannot answer just now. Please try again in a moment."
KEYS = uuid.UUID("5b0c5d0e-5d0f-5f6b-9e55-6f2d3a1c7b42")
"""The name space of the ids of conversations opened with an Idempotency-Key."""


class Found(Struct, frozen=True):
    """A conversation that has been opened, as it is now."""

    stream: StreamName
    state: Conversation
    version: int
    phase: Phase


class Exchange(Struct, frozen=True):
    """A user's message and what came of it.

    `answer` is None when it was interrupted, however far it had come; `failed` when the model gave none, and `answer`
    is an apology.
    """

    said: MessageSaid
    recorded: Recorded
    answer: str | None
    phase: Phase
    failed: bool


class Desk:
    """Where REST routes get at conversations."""

    def __init__(self, system: System, settings: WebSettings) -> None:
        self.system, self.settings = system, settings

    def now(self) -> str:
        return iso_time(self.system.clock.now())

    async def find(self, id: str, *, legacy: bool = False) -> Found:
        """The conversation `id`, one known to the legacy API alone only if asked for. Raises Problem 404."""
        stream = stream_of(id)
        state, version = await self.system.look(stream)
        if state.phase is None or (state.is_legacy and not legacy):
            raise not_found()
        return Found(stream, state, version, state.phase)

    async def ask(self, stream: StreamName, command: Command, key: str | None = None) -> Accepted:
        """Have the command done. `key` is its id for retries. Raises Problem when it is not."""
        return accepted(await self.system.ask(stream, command, self.stamp(key)))

    def stamp(self, key: str | None = None) -> Stamp:
        """The stamp of a command that comes of the current request."""
        return self.system.stamp(
            command_id=key, principal=current_visitor().principal, correlation_id=current_correlation()
        )

    async def ask_existing(self, id: str, command: Command, *kinds: type[T]) -> T:
        """The usual route: one command, with the request's Idempotency-Key, to a conversation that exists.

        Returns the last event of one of `kinds` it led to, now or the first time.
        """
        key = command_id()
        found = await self.find(id)
        event: T = last_of(await self.ask(found.stream, command, key), *kinds).event
        return event

    async def end(self, id: str, reason: str = "ended") -> None:
        if (await self.ask_existing(id, EndConversation(reason), PhaseEntered)).phase is not Phase.ENDED:
            raise KEY_OF_ANOTHER

    async def say(
        self, stream: StreamName, content: str, *, audio_url: str | None = None, targets: tuple[str, ...] = (),
        key: str | None = None,
    ) -> Exchange:  # fmt: skip
        """Say something as the user and wait for the answer; said again with the same key, it is the first exchange."""
        new = self.system.identifiers.new
        outcome = await self.ask(stream, Say(new(), new(), content, audio_url, targets), key)
        said = last_of(outcome, MessageSaid)
        if said.event.reply_id is None:  # the assistant's
            raise KEY_OF_ANOTHER
        return await self._answered(said)

    async def _answered(self, recorded: Recorded) -> Exchange:
        """The exchange `recorded` began. Raises Problem 503 when it takes too long; it may be asked for again."""
        with trio.move_on_after(self.settings.response_timeout + self.settings.answer_margin):
            while True:
                exchange = await self._watched(recorded)
                if exchange is not None:
                    return exchange
        raise Problem(503, "The answer is still being drafted; ask again with the same Idempotency-Key", 1.0)

    async def _watched(self, recorded: Recorded) -> Exchange | None:
        """Look for the end in the log, then in what comes; None when we could not keep up with that."""
        with self.system.audiences.watch(recorded.stream) as coming:
            for record in await self.system.store.read_stream(recorded.stream, after=recorded.version):
                if exchange := await self._ended(recorded, record):
                    return exchange
            async for record in coming:
                if exchange := await self._ended(recorded, record):
                    return exchange
        return None

    async def _ended(self, recorded: Recorded, record: Recorded) -> Exchange | None:
        """The whole exchange, if `record` ends it."""
        said: MessageSaid = recorded.event
        match record.event:
            case MessageSaid(message_id=id, content=content) if id == said.reply_id:
                return Exchange(said, recorded, content, Phase.WAITING_FOR_USER, False)
            case ReplyFailed(reply_id=id) if id == said.reply_id:
                return Exchange(said, recorded, APOLOGY, Phase.ERROR, True)
            case ReplyInterrupted(reply_id=id) if id == said.reply_id:
                phase = (await self.find(recorded.stream.id, legacy=True)).phase
                return Exchange(said, recorded, None, phase, False)
            case _:
                return None

    async def frame_types(self, before: Found, until: int) -> list[str]:
        """The types of the frames all sockets of the conversation were sent after `before`, up to version `until`."""
        limit = max(0, until - before.version)
        records = await self.system.store.read_stream(before.stream, after=before.version, limit=limit) if limit else []
        state, types = before.state, list[str]()
        for record in records:
            state = conversation.fold(state, (record.event,))
            if frame := CONVERSATIONS.render(record, state):
                types.append(msgspec.json.decode(frame.body)["type"])
        return types

    def clients(self, stream: StreamName) -> int:
        """How many sockets listen to the conversation."""
        return self.system.audiences.count(stream)

    def new_stream(self, purpose: str, key: str | None) -> StreamName:
        """The stream of a conversation to be opened; the same one for the same purpose and key of one principal."""
        if key is None:
            return StreamName.of(Category.CONVERSATION, self.system.identifiers.new())
        principal = current_visitor().principal
        whose = "" if principal == ANYBODY.principal else f":{principal}"
        return StreamName.of(Category.CONVERSATION, str(uuid.uuid5(KEYS, f"{purpose}:{key}{whose}")))


def stream_of(id: str) -> StreamName:
    """The stream of a conversation named by a client. Raises Problem 404 for an id that is no UUID."""
    try:
        uuid.UUID(id)
        return StreamName.of(Category.CONVERSATION, id)
    except ValueError:
        raise not_found() from None


KEY_OF_ANOTHER = unprocessable((("header", "Idempotency-Key"), "This key was used for another kind of request"))


def last_of(outcome: Accepted, *kinds: type[Any]) -> Recorded:
    """The last record of such an event. Raises Problem 422 when the key belongs to a request of another kind."""
    for record in reversed(outcome.records):
        if isinstance(record.event, kinds):
            return record
    raise KEY_OF_ANOTHER
