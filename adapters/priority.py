"""Work that comes last: what reads history takes what the living leave over."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

NICENESS = 19
"""Of such work: the lowest of all."""
CORES_OF_A_SERVER = 2
"""Those it keeps busy: its event loop's, and that of the process that commits."""
TRIES, PAUSE = 20, 0.1
"""The system lets sessions be changed one after the other, and no more than ten a second."""
_OF_SESSION = Path("/proc/self/autogroup")
_OURS = os.sched_getaffinity(0)


def come_last(niceness: int) -> None:
    """This process lets others go first, and leaves them some cores. For processes that do nothing else: it cannot be
    taken back.

    Linux may share the processor out between sessions first, and go by niceness within one alone
    (sched(7), autogrouping); so the process gets a session of its own, and that has to wait too.
    """
    with suppress(OSError):  # it has one already
        os.setsid()
    _lower(0, niceness)
    with suppress(OSError):  # this system does not divide by sessions
        _put_session_last(niceness)


def thread_comes_last(niceness: int) -> None:
    """This thread, and the processes it starts from now on, let others go first, and leave them some cores; those have
    much to import before they can do so themselves. For threads that do nothing else."""
    _lower(threading.get_native_id(), niceness)


def take_all_cores() -> None:
    """For those who come last, where nobody lives: this thread may have again what the process had when it began."""
    os.sched_setaffinity(0, _OURS)


def cores_left(ours: set[int]) -> set[int]:
    """Of these, those for work that comes last: all but what a server keeps busy, and half of them at least."""
    return set(sorted(ours)[: len(ours) - min(CORES_OF_A_SERVER, len(ours) // 2)])


def _lower(id: int, niceness: int) -> None:
    """Once: whoever is started by one that comes last has its niceness, and its cores."""
    if os.getpriority(os.PRIO_PROCESS, id) < niceness:
        os.sched_setaffinity(id, cores_left(os.sched_getaffinity(id)))
        os.setpriority(os.PRIO_PROCESS, id, niceness)


def _put_session_last(niceness: int) -> None:
    for _ in range(TRIES):
        with suppress(BlockingIOError):
            _OF_SESSION.write_text(str(niceness))
            return
        time.sleep(PAUSE)
