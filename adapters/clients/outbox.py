"""What a client has to publish: waiting, under way, or dropped. Bounded, and without I/O."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

MOST_WAITING = 1000
MOST_WAITING_BYTES = 4 * 1024 * 1024
MOST_UNDER_WAY = 50
"""So few that some clients that come back at once do not fill a channel's mailbox; bounded in bytes as well."""
MOST_REMEMBERED = 1000
"""Of what was dropped; all of it is counted."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One frame to publish; its id makes it one also when it is sent twice."""

    id: str
    text: str


class Pace:
    """How fast one may send: `limit` a second, and `burst` at once after a rest. Times are in seconds.

    As given it is less than a Callboard takes by default. What a server refuses comes behind what it takes after it, so
    only who stays below its limits keeps the order.
    """

    def __init__(self, limit: float = 150.0, burst: int = 200) -> None:
        self._limit, self._burst, self._spent = limit, burst, -math.inf

    def take(self, now: float) -> float:
        """Send one; returns how long to wait before it."""
        self._spent = max(self._spent, now - self._burst / self._limit) + 1 / self._limit
        return max(0.0, self._spent - now)


class Lost:
    """Parcels that are not sent any more: the last of them, and how many there were."""

    def __init__(self) -> None:
        self.parcels: deque[Parcel] = deque(maxlen=MOST_REMEMBERED)
        self.count = 0

    def add(self, parcels: Iterable[Parcel]) -> list[Parcel]:
        """Returns them."""
        more = list(parcels)
        self.parcels.extend(more)
        self.count += len(more)
        return more


@dataclass
class Outbox:
    """First in, first out. When it is full the oldest that wait are dropped, since what is newest is worth most.

    What was sent is under way until it is confirmed, and can be taken back to be sent again: that is never dropped for
    something else, and there is so little of it that it need not be. What is given up while it is under way is
    `unsure`: it may have arrived. What is `dropped` was never sent.
    """

    most: int = MOST_WAITING
    most_bytes: int = MOST_WAITING_BYTES
    most_under_way: int = MOST_UNDER_WAY
    dropped: Lost = field(default_factory=Lost)
    unsure: Lost = field(default_factory=Lost)
    sent_count: int = 0
    _waiting: deque[Parcel] = field(default_factory=deque)
    _bytes: int = 0
    _again: deque[Parcel] = field(default_factory=deque)
    _under_way: deque[tuple[int, Parcel]] = field(default_factory=deque)
    _bytes_under_way: int = 0
    _in_hand: int = 0

    def __len__(self) -> int:
        return len(self._again) + len(self._waiting)

    @property
    def under_way(self) -> int:
        return len(self._under_way)

    @property
    def unconfirmed(self) -> int:
        """How many are not known to have arrived, nor given up: the last ones that were added."""
        return len(self) + self._in_hand + len(self._under_way)

    @property
    def is_full(self) -> bool:
        """Nothing more is sent until something is confirmed."""
        return len(self._under_way) >= self.most_under_way or self._bytes_under_way >= self.most_bytes

    def add(self, parcel: Parcel) -> list[Parcel]:
        """Returns what had to be dropped for it."""
        self._waiting.append(parcel)
        self._bytes += len(parcel.text)
        return self.dropped.add(self._overboard())

    def take(self) -> Parcel | None:
        """The next to send; it is `sent` or `put_back` next. None when there is none, or when it is full."""
        if self.is_full:
            return None
        if not len(self):
            return None
        self._in_hand = 1
        return self._again.popleft() if self._again else self._take_waiting()

    def sent(self, parcel: Parcel) -> None:
        self._in_hand = 0
        self.sent_count += 1
        self._under_way.append((self.sent_count, parcel))
        self._bytes_under_way += len(parcel.text)

    def put_back(self, parcel: Parcel) -> None:
        """Whether it was sent nobody knows."""
        self._in_hand = 0
        self._again.appendleft(parcel)

    def confirm(self, upto: int) -> None:
        """What was sent first, up to `sent_count` at some time, has arrived; but for what was taken back since."""
        while self._under_way and self._under_way[0][0] <= upto:
            self._bytes_under_way -= len(self._under_way.popleft()[1].text)

    def take_back(self) -> None:
        """What is under way is sent again, before all else."""
        self._again.extendleft(reversed(self._landed()))

    def let_go(self) -> list[Parcel]:
        """What is under way is not sent again, though it may have been lost. Returns it."""
        return self.unsure.add(self._landed())

    def give_up(self) -> list[Parcel]:
        """Nothing more will be sent: all that waits is dropped. Returns what certainly has not arrived."""
        self.let_go()
        self.unsure.add(self._again)
        self._again.clear()
        return self.dropped.add(self._take_waiting() for _ in range(len(self._waiting)))

    def _landed(self) -> list[Parcel]:
        parcels = [parcel for _, parcel in self._under_way]
        self._under_way.clear()
        self._bytes_under_way = 0
        return parcels

    def _take_waiting(self) -> Parcel:
        parcel = self._waiting.popleft()
        self._bytes -= len(parcel.text)
        return parcel

    def _overboard(self) -> Iterable[Parcel]:
        while len(self._waiting) > self.most or (self._bytes > self.most_bytes and len(self._waiting) > 1):
            yield self._take_waiting()
