"""What the machine gives each process: cores and descriptors.

Every server under test runs on the first core and every load on the last, ours and the rivals' alike: so a server is
measured by what one core can do, and the load never takes a share of it.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

ALL = frozenset(os.sched_getaffinity(0))
SERVER, LOAD = min(ALL), max(ALL)

_free: list[bool] = []


def stay_unpinned() -> None:
    """From now on nothing is tied to a core."""
    _free.append(True)


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Processes started in the block stay on this core; we ourselves come back to all."""
    os.sched_setaffinity(0, ALL if _free else {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, ALL)


def raise_descriptor_limit() -> int:
    """As many open files as we may have; processes started later may have them too."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def descriptor_limit() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
