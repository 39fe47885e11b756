"""Token buckets: how many commands a connection, and a principal over all its connections, may send."""

from __future__ import annotations

from dataclasses import dataclass

MOST_PRINCIPALS = 10_000
"""Principals remembered before those that could send their whole burst again are forgotten."""


@dataclass(frozen=True, slots=True)
class Rate:
    """`limit` commands a second, `burst` at once."""

    limit: float
    burst: int


class Bucket:
    """What one sender has left. Times are in seconds on any clock that only goes forward."""

    __slots__ = ("_at", "_left", "_rate")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate, self._left, self._at = rate, float(rate.burst), now

    def take(self, now: float) -> float:
        """Take one; returns 0, or the seconds until there is one to take."""
        self._fill(now)
        if self._left >= 1:
            self._left -= 1
            return 0.0
        return (1 - self._left) / self._rate.limit

    def is_full(self, now: float) -> bool:
        self._fill(now)
        return self._left >= self._rate.burst

    def _fill(self, now: float) -> None:
        self._left = min(float(self._rate.burst), self._left + (now - self._at) * self._rate.limit)
        self._at = now


class Principals:
    """A bucket for each principal that sent something lately."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._buckets: dict[str, Bucket] = {}

    def take(self, principal: str, now: float) -> float:
        """Take one of the principal's; returns 0, or the seconds until there is one to take."""
        bucket = self._buckets.get(principal)
        if bucket is None:
            self._forget_idle(now)
            bucket = self._buckets[principal] = Bucket(self._rate, now)
        return bucket.take(now)

    def _forget_idle(self, now: float) -> None:
        if len(self._buckets) >= MOST_PRINCIPALS:
            self._buckets = {name: bucket for name, bucket in self._buckets.items() if not bucket.is_full(now)}
