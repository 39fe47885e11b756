"""Who reads much of a log while a server writes to it takes short turns at the processor.

To come last (adapters/priority.py) is not enough. A system gives whoever has begun a turn of some milliseconds, however
unimportant that one is, before it looks who else there is. A commit waits for the disk for less than that: it would
find its core taken each time, and the disk would find its own work put off.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from time import perf_counter

from eventstore.locking import is_served

TURN = 0.0004
"""Seconds of work between two naps."""
NAP = 0.00002
"""Seconds of a nap, to which the system adds more than that."""

_end_of_turn = math.inf


def take_turns(log: Path) -> bool:
    """From now on this process gives way, if a server holds the log; and whether one does. For processes that do
    nothing else."""
    global _end_of_turn  # a process has one turn at a time
    if not is_served(log):
        return False
    _end_of_turn = perf_counter()
    return True


def give_way() -> None:
    """To be called between small steps of work. A nap, if this process takes turns and its turn is over."""
    global _end_of_turn  # as above
    if perf_counter() >= _end_of_turn:
        time.sleep(NAP)
        _end_of_turn = perf_counter() + TURN
