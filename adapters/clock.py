"""Time and identity from the machine: the only places the server reads a wall clock or draws an id."""

from __future__ import annotations

import os
import time
from array import array
from collections.abc import Callable

_POOL_BYTES = 8192
_UNSEEDED_BITS = 3 * 32 - 73
_TAIL_BITS = 74
"""Bits of a UUIDv7 behind time, version and variant. A new millisecond seeds one bit less, as room to count up."""


class SystemClock:
    """`core.ports.Clock`: µs UTC, never running backwards within the process, whatever is done to the machine's clock.

    `source` gives ns UTC since the epoch.
    """

    def __init__(self, source: Callable[[], int] = time.time_ns) -> None:
        self._source = source
        self._latest = 0

    def now(self) -> int:
        """µs UTC since the epoch; at least what the last call gave."""
        now = self._source() // 1000
        if now > self._latest:
            self._latest = now
        return self._latest


class PooledRandomness:
    """The system's randomness as 32-bit words, fetched some kilobytes at a time.

    Each fetch is a system call that gives up the interpreter's lock, and so may wait for any other thread: with a
    fetch an id, ids cost thirty times as much while the log is being written.
    """

    def __init__(self, fetch: Callable[[int], bytes] = os.urandom) -> None:
        self._fetch = fetch
        self._words = array("I")

    def word(self) -> int:
        """32 random bits, none of which was or will be given again."""
        if not self._words:
            self._words.frombytes(self._fetch(_POOL_BYTES))
        return self._words.pop()


class TimeOrderedIdentifiers:
    """`core.ports.Identifiers`: UUIDv7 texts, each greater than all before it, also inside one millisecond.

    `source` gives ns UTC since the epoch, `random_word()` 32 random bits. Within a millisecond, and while the clock
    runs backwards, the part behind the time counts up by random steps, so that ids stay hard to guess. One object
    belongs to one thread.
    """

    def __init__(
        self,
        source: Callable[[], int] = time.time_ns,
        random_word: Callable[[], int] | None = None,
    ) -> None:
        self._source = source
        self._random_word = random_word or PooledRandomness().word
        self._millisecond = -1
        self._head = ""
        self._tail = 0

    def new(self) -> str:
        """A UUID in its usual text form."""
        millisecond = self._source() // 1_000_000
        if millisecond > self._millisecond:
            self._start(millisecond)
        else:
            self._tail += 1 + self._random_word()
            if self._tail >> _TAIL_BITS:
                self._start(self._millisecond + 1)
        tail = self._tail
        return f"{self._head}{tail >> 62:03x}-{0x8000 | tail >> 48 & 0x3FFF:04x}-{tail & 0xFFFFFFFFFFFF:012x}"

    def _start(self, millisecond: int) -> None:
        self._millisecond = millisecond
        self._head = f"{millisecond >> 16:08x}-{millisecond & 0xFFFF:04x}-7"
        word = self._random_word
        self._tail = (word() << 64 | word() << 32 | word()) >> _UNSEEDED_BITS
