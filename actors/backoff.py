"""How long to wait before trying again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential, capped, with full jitter: between half and the whole of `first` · 2ⁿ seconds, `cap` at most.

    `draw` gives numbers in [0, 1); it comes from outside so that a seeded run repeats.
    """

    draw: Callable[[], float]
    first: float = 0.1
    cap: float = 10.0

    def delay(self, failures: int) -> float:
        """Seconds to wait after this many failures in a row (≥ 1)."""
        whole = min(self.cap, self.first * 2.0 ** min(failures - 1, 32))
        return whole * (0.5 + self.draw() / 2)
