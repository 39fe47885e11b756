"""Pure read models over the whole log: which conversations there are, and where work may be outstanding.

Unlike deciders' states a board is folded in place, as one reader owns it and a million events fold into it at start-up.
What it gives out are its own rows, live: read them at once, and change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from core.conversation import (
    ConversationForked,
    ConversationMigrated,
    ConversationOpened,
    MessageSaid,
    Phase,
    PhaseEntered,
)
from core.decider import AnyDecider, CommandRejected
from core.identifiers import Category, StreamName
from core.messages import Recorded

ACTIVE, OVER = "active", "ended"


class ConversationSummary(Struct, gc=False):
    """One conversation as lists show it. `created_at` and `last_activity` are µs UTC since the epoch."""

    id: str
    user_id: str | None
    personality: str
    session_type: str
    topic: str | None
    created_via: str
    created_at: int
    last_activity: int
    phase: Phase = Phase.IDLE
    message_count: int = 0
    migrated: bool = False

    @property
    def status(self) -> str:
        return OVER if self.phase is Phase.ENDED else ACTIVE

    @property
    def is_legacy(self) -> bool:
        """Known to the legacy API alone, and so on no list."""
        return self.created_via == "legacy" and not self.migrated


class Page(Struct, frozen=True):
    """Some of the conversations asked for; `total_count` is how many there are in all."""

    conversations: tuple[ConversationSummary, ...]
    total_count: int


class SavedBoard(Struct, frozen=True):
    """A board as a plain value, for checkpoints. `conversations` are in the order they were opened in."""

    position: int
    conversations: tuple[ConversationSummary, ...]
    outstanding: tuple[str, ...]


Hint = Callable[[Any], bool | None]


class Board:
    """The view of everything up to `position`.

    `outstanding` are the streams that may want something done: start-up wakes those alone. What a decider's
    `opens_work` says last about a stream counts.
    """

    def __init__(self, deciders: Mapping[Category, AnyDecider]) -> None:
        self.position = 0
        self.outstanding: set[StreamName] = set()
        self._deciders = deciders
        self._hints: dict[type, Hint] = {}
        self._summaries: dict[StreamName, ConversationSummary] = {}

    def apply(self, record: Recorded) -> None:
        """Fold the next record in; one that is in already changes nothing."""
        if record.position <= self.position:
            return
        self.position = record.position
        event = record.event
        kind = type(event)
        if kind is CommandRejected:
            self._touch(record)
            return
        hint = self._hints.get(kind) or self._learn(kind, record.stream)
        opens = hint(event)
        if opens is not None:
            self._mark(record.stream, opens)
        if kind is ConversationOpened:
            self._summaries[record.stream] = _opened(record)
        elif (summary := self._touch(record)) is not None and (fold := _FOLDS.get(kind)) is not None:
            fold(summary, event)

    def retell(self, record: Recorded) -> None:
        """A conversation's opening says something else than it did when it was folded in: part of it is forgotten."""
        summary, event = self._summaries.get(record.stream), record.event
        if summary is not None and type(event) is ConversationOpened:
            summary.topic = event.topic

    def _touch(self, record: Recorded) -> ConversationSummary | None:
        """Something was done there, be it in vain."""
        summary = self._summaries.get(record.stream)
        if summary is not None:
            summary.last_activity = record.stamp.time
        return summary

    def _learn(self, kind: type, stream: StreamName) -> Hint:
        """A type of event belongs to one category, so its decider is looked up once."""
        decider = self._deciders.get(stream.category)
        hint = self._hints[kind] = _no_hint if decider is None else decider.opens_work
        return hint

    def _mark(self, stream: StreamName, opens: bool) -> None:
        if opens:
            self.outstanding.add(stream)
        else:
            self.outstanding.discard(stream)

    # --- questions ---

    def conversation(self, stream: StreamName) -> ConversationSummary | None:
        """The row of one conversation, a legacy one too; None when nobody opened it."""
        return self._summaries.get(stream)

    def conversations(
        self, *, user_id: str | None = None, status: str | None = None, limit: int = 20, offset: int = 0
    ) -> Page:
        """What the WebSocket API knows, the newest first. A look through all rows: some milliseconds for 10 000."""
        found = list(self._listed(user_id, status))
        return Page(tuple(islice(found, offset, offset + limit)), len(found))

    def _listed(self, user_id: str | None, status: str | None) -> Iterator[ConversationSummary]:
        for summary in reversed(self._summaries.values()):
            if summary.is_legacy or (user_id is not None and summary.user_id != user_id):
                continue
            if status is None or summary.status == status:
                yield summary

    # --- checkpoints ---

    def to_saved(self) -> SavedBoard:
        """A copy of this moment."""
        rows = tuple(replace(summary) for summary in self._summaries.values())
        return SavedBoard(self.position, rows, tuple(sorted(str(stream) for stream in self.outstanding)))

    @classmethod
    def from_saved(cls, saved: SavedBoard, deciders: Mapping[Category, AnyDecider]) -> Board:
        """The board that goes on from `saved`. Raises MalformedStreamName when that is not of our making."""
        board = cls(deciders)
        board.position = saved.position
        board.outstanding = {StreamName.parse(name) for name in saved.outstanding}
        board._summaries = {StreamName.of(Category.CONVERSATION, row.id): replace(row) for row in saved.conversations}
        return board


def _no_hint(event: Any) -> bool | None:  # noqa: ARG001  # a hint like the deciders'
    """For streams nobody here decides, such as those of a newer release."""
    return None


def _opened(record: Recorded) -> ConversationSummary:
    event, time = record.event, record.stamp.time
    return ConversationSummary(
        record.stream.id,
        event.user_id,
        event.personality,
        event.session_type,
        event.topic,
        event.created_via,
        created_at=time,
        last_activity=time,
    )


def _entered(summary: ConversationSummary, event: PhaseEntered) -> None:
    summary.phase = event.phase


def _said(summary: ConversationSummary, event: MessageSaid) -> None:  # noqa: ARG001  # called by the table below
    summary.message_count += 1


def _migrated(summary: ConversationSummary, event: ConversationMigrated) -> None:  # noqa: ARG001  # as above
    summary.migrated = True


def _forked(summary: ConversationSummary, event: ConversationForked) -> None:
    summary.migrated = True
    summary.personality = event.personality or summary.personality
    summary.topic = event.topic or summary.topic


_FOLDS: dict[type, Callable[[ConversationSummary, Any], None]] = {
    PhaseEntered: _entered,
    MessageSaid: _said,
    ConversationMigrated: _migrated,
    ConversationForked: _forked,
}
