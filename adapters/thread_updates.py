"""What the assistant does in a thread, published on the thread's channel as the seed's clients expect it.

A projection: it follows the log, and each record it shows becomes one command to the channel, under the record's own
id. So it may begin again anywhere before where it was, and nothing is published twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog
import trio
from msgspec import DecodeError, Struct, json

from actors.backoff import Backoff
from actors.system import System
from core.channel import Publish, stream_of
from core.conversation import (
    Conversation,
    MessageSaid,
    ReplyBegun,
    ReplyFailed,
    ReplyInterrupted,
    ReplyPieceAdded,
    ReplyToolBegun,
    ReplyToolEnded,
    conversation,
)
from core.identifiers import Category, StreamName
from core.lineage import is_copy
from core.messages import Accepted, Outcome, Recorded, Refused, Stamp
from core.ports import StoreUnavailable

CHECKPOINT = "thread-updates/1"
CHECKPOINT_EVERY = 5000
"""Records between two checkpoints at most, when there is nothing to publish."""

log = structlog.get_logger("callboard.threads")

SHOWN = ReplyBegun | ReplyPieceAdded | ReplyToolBegun | ReplyToolEnded | MessageSaid | ReplyFailed | ReplyInterrupted
ENDS = MessageSaid | ReplyFailed | ReplyInterrupted


class _Asked(Struct):
    """Of the arguments of the weather tool."""

    location: str


@dataclass
class Thread:
    """An answer under way: where it is shown (None: nowhere), and what it has said."""

    channel: str | None
    text: str = ""

    def update(self, record: Recorded) -> dict[str, Any] | None:
        """The payload of what is published of this record, None for nothing."""
        shown = self._shown(record.event)
        if shown is None:
            return None
        message, more = shown
        told = {"message": message, "timestamp": record.stamp.time / 1e6, "thread_id": record.stream.id}
        return told | more

    def _shown(self, event: Any) -> tuple[str, dict[str, Any]] | None:
        match event:
            case ReplyBegun():
                self.text = ""
                return None
            case ReplyPieceAdded(reply_id, text=text):
                self.text += text
                return self.text, {"type": "response", "message_id": reply_id}
            case ReplyToolBegun(name=name, arguments=arguments):
                return _execution(name, arguments), {"status": "started", "type": "tool"}
            case ReplyToolEnded(result=result):
                return result, {"status": "tool_executed", "type": "tool"}
            case MessageSaid(message_id, content=content, in_reply_to=str()):
                return content, {"status": "completed", "type": "response", "message_id": message_id}
            case ReplyFailed(reply_id, reason):
                return reason, _error(reply_id, "Sorry, something went wrong. Please try again.")
            case ReplyInterrupted(reply_id):
                return "interrupted", _error(reply_id, "The answer was interrupted.")
            case _:
                return None


def _execution(name: str, arguments: str) -> str:
    try:
        return f"Executing weather check for {json.decode(arguments, type=_Asked).location}"
    except (DecodeError, UnicodeError, RecursionError):
        return f"Executing {name}"


def _error(reply_id: str, friendly: str) -> dict[str, Any]:
    return {"friendly_message": friendly, "status": "error", "type": "error", "message_id": reply_id}


class ThreadUpdates:
    """Follows the log and publishes. `run` is for ever.

    On a log it has never followed it begins where that ended when this was made: before, no thread had a channel.
    """

    def __init__(self, system: System, backoff: Backoff) -> None:
        self._system, self._backoff = system, backoff
        self._threads: dict[StreamName, Thread] = {}
        self._saved = self._first = system.store.head

    async def run(self) -> None:
        failures, after = 0, None
        while True:
            try:
                after = await self._begin() if after is None else after
                async for batch in self._system.store.subscribe(after=after):
                    published = [await self._take(record) for record in batch]
                    after, failures = batch[-1].position, 0
                    await self._checkpoint(after, due=any(published))
            except StoreUnavailable as reason:
                failures += 1
                log.warning("the log cannot be followed now", reason=str(reason))
                await trio.sleep(self._backoff.delay(failures))

    async def _begin(self) -> int:
        saved = await self._system.store.load_checkpoint(CHECKPOINT)
        self._saved = self._first if saved is None else min(saved[0], self._system.store.head)
        await self._checkpoint(self._saved, due=saved is None)
        return self._saved

    async def _checkpoint(self, position: int, *, due: bool) -> None:
        if due or position - self._saved >= CHECKPOINT_EVERY:
            await self._system.store.save_checkpoint(CHECKPOINT, position, b"")
            self._saved = position

    async def _take(self, record: Recorded) -> bool:
        """Whether anything was published of it."""
        event, stream = record.event, record.stream
        if is_copy(record):  # of a fork: it was published when it happened
            return False
        if not isinstance(event, SHOWN) or (isinstance(event, MessageSaid) and event.in_reply_to is None):
            return False
        thread = self._threads.get(stream)
        if thread is None:
            thread = self._threads[stream] = await self._look(record)
        if isinstance(event, ENDS):
            self._threads.pop(stream, None)
        payload = None if thread.channel is None else thread.update(record)
        if payload is None or thread.channel is None:
            return False
        await self._publish(thread.channel, payload, record)
        return True

    async def _look(self, record: Recorded) -> Thread:
        """The answer under way as it was before the record: read from the log, unless it is shown nowhere anyway."""
        now, _ = await self._system.look(record.stream)
        if record.stream.category is not Category.CONVERSATION or now.channel is None:
            return Thread(None)
        records = await self._system.store.read_stream(record.stream, limit=record.version - 1)
        state: Conversation = conversation.fold(Conversation(), [before.event for before in records])
        return Thread(state.channel, state.replies[0].text if state.replies else "")

    async def _publish(self, channel: str, payload: dict[str, Any], record: Recorded) -> None:
        """Until it is done, or refused for good."""
        failures = 0
        while True:
            stamp = Stamp(record.stamp.correlation_id, self._system.clock.now(), record.id, record.id, "system")
            outcome = await self._system.ask(stream_of(channel), Publish(channel, payload), stamp)
            if isinstance(outcome, Accepted | Refused):
                _note_refusal(outcome, record)
                return
            failures += 1
            await trio.sleep(self._backoff.delay(failures))


def _note_refusal(outcome: Outcome, record: Recorded) -> None:
    if isinstance(outcome, Refused):
        log.warning("an update was not published", event_id=record.id, reason=outcome.rejection.message)
