"""Turns of what only so many may do at one time. They are taken at once or not at all: nobody waits for one."""

from __future__ import annotations

from weakref import WeakSet


class Turns:
    """So many, for whatever object stands for what is done. A turn is over when it is given back; and when that object
    is no more: an answer that nobody came to fetch keeps none."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = WeakSet[object]()

    def take(self, who: object) -> bool:
        """Whether there was a turn left, which `who` has now."""
        if len(self._taken) >= self._most:
            return False
        self._taken.add(who)
        return True

    def give_back(self, who: object) -> None:
        """Giving back twice is giving back once."""
        self._taken.discard(who)
