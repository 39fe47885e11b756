"""How gateways wait before they try again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retries:
    """`attempts` in all, `backoff` seconds doubled from try to try, unless the server says how long it wants to be left
    alone. One that asks for more than `longest_wait` seconds is not waited for. `jitter` gives 0 to 1."""

    attempts: int
    backoff: float
    longest_wait: float
    jitter: Callable[[], float]

    def pause(self, tried: int, retry_after: float | None) -> float | None:
        """Seconds before the next try, `tried` having failed; None when there is to be none."""
        delay = retry_after
        if delay is None:
            delay = self.backoff * 2 ** (tried - 1) * (0.5 + self.jitter() / 2)
        return None if tried >= self.attempts or delay > self.longest_wait else delay
