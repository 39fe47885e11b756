"""The bounded queue in front of every actor. Putting is synchronous: a letter is in, or answered Busy at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import trio

from core.messages import Outcome, Stamp


class Look:
    """The question "what is your state?", which changes nothing and so is no command of any decider."""


LOOK = Look()


class Letter:
    """A command on its way, with the one who waits for its outcome. `crashes`: how often it took its actor down."""

    __slots__ = ("_settle", "command", "crashes", "stamp")

    def __init__(self, command: Any, stamp: Stamp, settle: Callable[[Outcome], None]) -> None:
        self.command, self.stamp, self.crashes = command, stamp, 0
        self._settle: Callable[[Outcome], None] | None = settle

    @property
    def settled(self) -> bool:
        return self._settle is None

    def settle(self, outcome: Outcome) -> None:
        """Answer the asker: the first call does, later ones change nothing."""
        if self._settle is not None:
            settle, self._settle = self._settle, None
            settle(outcome)


class Mailbox:
    """First in, first out, at most `limit` letters."""

    __slots__ = ("_closed", "_letters", "_limit", "_reader")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._letters: list[Letter] | None = None  # there is a list while there are letters
        self._reader: trio.lowlevel.Task | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._letters) if self._letters else 0

    def put(self, letter: Letter) -> bool:
        """Take the letter in; False when there is no room, or when nobody will read it any more."""
        if self._closed:
            return False
        letters = self._letters
        if letters is None:
            self._letters = [letter]
        elif len(letters) < self._limit:
            letters.append(letter)
        else:
            return False
        self._wake()
        return True

    def put_back(self, letters: Iterable[Letter]) -> None:
        """Return letters to the front, in their order; counted before, they may exceed the limit for a moment."""
        self._letters = [*letters, *(self._letters or ())] or None

    async def take(self, most: int) -> list[Letter]:
        """Wait for letters and take up to `most`; none once the mailbox is closed and empty."""
        if not self._letters and not self._closed:
            await self._park()
        return self.take_nowait(most)

    def take_nowait(self, most: int) -> list[Letter]:
        letters = self._letters
        if not letters:
            return []
        if len(letters) <= most:
            self._letters = None
            return letters
        self._letters = letters[most:]
        return letters[:most]

    def close(self) -> None:
        """No reader will wait any more; what is inside can still be taken."""
        self._closed = True
        self._wake()

    async def _park(self) -> None:
        self._reader = trio.lowlevel.current_task()

        def forget(_: object) -> trio.lowlevel.Abort:
            self._reader = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(forget)

    def _wake(self) -> None:
        if self._reader is not None:
            reader, self._reader = self._reader, None
            trio.lowlevel.reschedule(reader)
