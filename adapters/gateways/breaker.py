"""A circuit breaker: what has failed again and again is left alone for a while. Pure: the time is given."""

from __future__ import annotations


class Breaker:
    """Shut until `failures` in a row; then open for `rest` seconds; then one try decides between shut and open again.

    While that try is under way, nobody else is let through.
    """

    def __init__(self, failures: int = 5, rest: float = 30.0) -> None:
        self._most, self._rest = failures, rest
        self._failed = 0
        self._opens_at: float | None = None

    def seconds_to_wait(self, now: float) -> float:
        """0: go on, and say how it went by `succeeded`, `failed` or `abandoned`. Else how long to leave it alone."""
        if self._opens_at is None:
            return 0.0
        if now < self._opens_at:
            return self._opens_at - now
        self._opens_at = now + self._rest
        return 0.0

    def succeeded(self) -> None:
        self._failed, self._opens_at = 0, None

    def failed(self, now: float) -> None:
        self._failed += 1
        if self._failed >= self._most:
            self._opens_at = now + self._rest

    def abandoned(self, now: float) -> None:
        """The try was given up by who made it, and says nothing of the other side: the next one may try at once."""
        if self._opens_at is not None:
            self._opens_at = now
