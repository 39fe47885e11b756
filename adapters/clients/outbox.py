"""What a client has to publish: waiting, under way, or dropped. Bounded, and without I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

MOST_WAITING = 1000
MOST_WAITING_BYTES = 4 * 1024 * 1024
MOST_UNDER_WAY = 1000
MOST_REMEMBERED = 1000
"""Of what was dropped; all of it is counted."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One frame to publish; its id makes it one also when it is sent twice."""

    id: str
    text: str


@dataclass
class Outbox:
    """First in, first out. When it is full the oldest are dropped, since what is newest is worth most.

    Nobody acknowledges what is published, so what was sent counts as delivered only behind a ping that was answered;
    until then it is under way, and can be taken back to be sent again.
    """

    most: int = MOST_WAITING
    most_bytes: int = MOST_WAITING_BYTES
    dropped: deque[Parcel] = field(default_factory=lambda: deque(maxlen=MOST_REMEMBERED))
    dropped_count: int = 0
    _waiting: deque[Parcel] = field(default_factory=deque)
    _bytes: int = 0
    _under_way: deque[tuple[float, Parcel]] = field(default_factory=lambda: deque(maxlen=MOST_UNDER_WAY))

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def under_way(self) -> int:
        return len(self._under_way)

    def add(self, parcel: Parcel) -> list[Parcel]:
        """Returns what had to be dropped for it."""
        self._waiting.append(parcel)
        self._bytes += len(parcel.text)
        return self._trim()

    def take(self) -> Parcel | None:
        """The next to send; it is `sent` or `put_back` next."""
        if not self._waiting:
            return None
        parcel = self._waiting.popleft()
        self._bytes -= len(parcel.text)
        return parcel

    def sent(self, parcel: Parcel, now: float) -> None:
        self._under_way.append((now, parcel))

    def put_back(self, parcel: Parcel) -> list[Parcel]:
        """It could not be sent. Returns what had to be dropped for it: itself, when others came meanwhile."""
        self._waiting.appendleft(parcel)
        self._bytes += len(parcel.text)
        return self._trim()

    def confirm(self, before: float) -> None:
        """What was sent before that time has arrived."""
        while self._under_way and self._under_way[0][0] < before:
            self._under_way.popleft()

    def take_back(self) -> list[Parcel]:
        """What is under way waits again, before all else. Returns what had to be dropped for it."""
        parcels = [parcel for _, parcel in self._under_way]
        self._under_way.clear()
        self._waiting.extendleft(reversed(parcels))
        self._bytes += sum(len(parcel.text) for parcel in parcels)
        return self._trim()

    def give_up(self) -> list[Parcel]:
        """Nothing more will be sent: all that waits is dropped."""
        parcels = list(self._waiting)
        self._waiting.clear()
        self._bytes = 0
        self._note(parcels)
        return parcels

    def _trim(self) -> list[Parcel]:
        gone: list[Parcel] = []
        while len(self._waiting) > self.most or (self._bytes > self.most_bytes and len(self._waiting) > 1):
            parcel = self._waiting.popleft()
            self._bytes -= len(parcel.text)
            gone.append(parcel)
        self._note(gone)
        return gone

    def _note(self, parcels: list[Parcel]) -> None:
        self.dropped.extend(parcels)
        self.dropped_count += len(parcels)
