"""What is asserted of how quickly others are answered while something long is under way.

A busy machine makes a single answer late, whatever the server does. So what is promised is asked of the median, and of
each answer only that nothing stood still for it. With CALLBOARD_STRICT_LATENCY=1, for a quiet machine, each answer has
to keep the promise. The figures are printed: `pytest -rP` shows them.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from statistics import median

import trio

IS_STRICT = os.environ.get("CALLBOARD_STRICT_LATENCY") == "1"


async def ping_until(
    is_over: Callable[[], bool], ping: Callable[[], Awaitable[object]], seconds: list[float], every: float = 0.01
) -> None:
    """Ping `every` so many seconds; `seconds` grows by the time from when each ping was due until its answer.

    So a standstill between two pings counts as well: it delays the next one, which is always sent.
    """
    while not is_over():
        due = trio.current_time() + every
        await trio.sleep_until(due)
        await ping()
        seconds.append(trio.current_time() - due)


def assert_answered_within(promised: float, seconds: Sequence[float], *, standstill: float, least: int = 5) -> None:
    """`seconds` each of at least `least` answers took; one of `standstill` seconds is a fault on any machine."""
    assert len(seconds) >= least, f"{len(seconds)} answers while it was under way"
    told = f"{len(seconds)} answers, median {median(seconds) * 1000:.1f} ms, worst {max(seconds) * 1000:.1f} ms"
    print(told)
    assert median(seconds) < promised, told
    assert max(seconds) < (promised if IS_STRICT else standstill), told
