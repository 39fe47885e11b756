"""The hash chain: every event's hash covers all it will ever say and the hash before it.

    hash = SHA-256(previous hash ‖ MessagePack array of the columns in COLUMNS)

so that the first altered, missing, inserted or reordered event is found by folding the log once. The first event
links to GENESIS.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from msgspec import Struct, msgpack

from eventstore.turns import give_way

COLUMNS = (
    "rowid", "originator_id", "originator_version", "topic", "state", "recorded_at", "correlation_id", "causation_id",
    "command_id", "principal", "origin", "command",
)  # fmt: skip
"""All stored columns but the hash, in the order they are hashed. None of them ever changes."""

GENESIS = bytes(32)
"""What the first event links to."""

MOST_INSERTED = 64
"""Events put in at one place that are told from the one behind them, which alone does not fit."""

Row = tuple[Any, ...]

_encode = msgpack.Encoder().encode


def link(previous: bytes, columns: Row) -> bytes:
    """The hash of the event with these columns, which follows the event with the hash `previous`."""
    return sha256(previous + _encode(columns)).digest()


ALTERED = "its content or its place in the log is not what was recorded"


class Break(Struct, frozen=True):
    """The first place where the chain does not hold."""

    position: int
    event: str
    reason: str


class Verification:
    """Checks rows (COLUMNS and then the hash) as they come; remembers the first break and the head so far."""

    def __init__(self, position: int = 0, head: bytes = GENESIS) -> None:
        self.position, self.head = position, head
        self._from_start = position == 0
        self.broken: Break | None = None
        self._versions: dict[str, int] = {}
        self._recent: deque[tuple[str, bytes]] = deque(maxlen=MOST_INSERTED)

    def check(self, rows: Iterable[Row]) -> Break | None:
        """Take the next rows of the log. Returns the first break of all, None while the chain holds."""
        for *columns, stored in rows:
            if self.broken is None:
                self.broken = self._fault(tuple(columns), stored)
            give_way()
        return self.broken

    def _fault(self, columns: Row, stored: bytes) -> Break | None:
        position, stream, version = columns[:3]
        event = f"{stream}@{version}"
        if position != self.position + 1:
            return Break(position, event, f"positions {self.position + 1} to {position - 1} are missing before it")
        if link(self.head, columns) != stored:
            return self._inserted(columns, stored) or Break(position, event, ALTERED)
        expected = self._versions.get(stream, self._unseen(version)) + 1
        if version != expected:
            return Break(position, event, f"its stream has a gap: version {expected} is missing")
        self._recent.append((event, self.head))
        self.position, self.head = position, stored
        self._versions[stream] = version
        return None

    def _inserted(self, columns: Row, stored: bytes) -> Break | None:
        """The first of the events that were put in before this one, hashes and all, if it goes on from before them."""
        for count, (event, before) in enumerate(reversed(self._recent), start=1):
            position = columns[0] - count
            if link(before, (position, *columns[1:])) == stored:
                return Break(position, event, f"it was inserted: what is at {columns[0]} now was recorded here")
        return None

    def _unseen(self, version: int) -> int:
        """The version before the first one seen of a stream: 0, or unknown and so any when we began in mid-log."""
        return 0 if self._from_start else version - 1
