"""Whether a log is the one that its checkpoints tell of: a chain that was made anew from some event on holds, but does
not come through them; nor does one whose end was cut off."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from eventstore.checkpoints import Checkpoint
from eventstore.merkle import Frontier


class Contradiction(Struct, frozen=True):
    """The first checkpoint that the log contradicts: the events from `first` to `last` are not those it has, or are
    missing at the log's end."""

    checkpoint: Checkpoint
    first: int
    last: int
    is_cut_off: bool = False


class Attestation:
    """Holds the chain hashes, as they come from the first on, against checkpoints."""

    def __init__(self, checkpoints: Iterable[Checkpoint]) -> None:
        self.held: list[Checkpoint] = []
        self.contradiction: Contradiction | None = None
        self._waiting = sorted(checkpoints, key=lambda each: each.size, reverse=True)
        self._frontier = Frontier()

    def check(self, contents: Sequence[bytes]) -> Contradiction | None:
        """Take the next hashes. Returns the first contradiction of all, None while there is none."""
        taken = 0
        while self._waiting and self.contradiction is None:
            missing = self._waiting[-1].size - self._frontier.size
            self._frontier.extend(contents[taken : taken + missing])
            if missing > len(contents) - taken:
                break
            taken += missing
            self._compare(self._waiting.pop(), contents[taken - 1] if taken else b"")
        return self.contradiction

    def _compare(self, checkpoint: Checkpoint, head: bytes) -> None:
        if checkpoint.root == self._frontier.root and head in (checkpoint.head, b""):
            self.held.append(checkpoint)
        else:
            first = max((held.size for held in self.held if held.size < checkpoint.size), default=0) + 1
            self.contradiction = Contradiction(checkpoint, first, checkpoint.size)

    def end(self, position: int) -> Contradiction | None:
        """There are no more events than `position`."""
        if self.contradiction is None and self._waiting:
            checkpoint = self._waiting[-1]
            self.contradiction = Contradiction(checkpoint, position + 1, checkpoint.size, is_cut_off=True)
        return self.contradiction
