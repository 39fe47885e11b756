"""How far a follower has come in a stream: what a frame is to it, and where it resumes. Pure.

The rules are the wire's: frames rendered from the log carry `seq`, the version in their stream; the greeting (or,
where none is allowed, the first answer) says `epoch`, `seq` and `recovered`. `static/callboard.js` has the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit


class Place(Enum):
    """What a frame is to the one who follows."""

    SNAPSHOT = "snapshot"
    """The state at its `seq`: whatever was known before is void."""
    RESUMED = "resumed"
    """The greeting of one who came back in time: nothing was missed."""
    LOGGED = "logged"
    """A frame of the log, and not heard before."""
    ASIDE = "aside"
    """Not of the log: an answer to this client alone."""
    REPEAT = "repeat"
    """Heard before; to be dropped."""


class Gap(Exception):
    """Frames are missing between `after`, the last that was heard, and `seq`, which came."""

    def __init__(self, after: int, seq: int) -> None:
        super().__init__(f"after {after} came {seq}")
        self.after, self.seq = after, seq


MOST_GAPS = 2
"""Gaps at one place until the follower gives its place up and takes a snapshot."""


@dataclass
class Bookmark:
    """`seq` is the last version heard (None: nothing yet), `epoch` the log's.

    Most dialects do not show every version, so a missing one says nothing. Where they do (`contiguous`) it is a gap.
    A resume that does not begin where it was asked to is a gap in every dialect.
    """

    seq: int | None = None
    epoch: str | None = None
    contiguous: bool = False
    gaps: int = 0
    _floor: int | None = None
    """Versions up to here are repeats. Behind a snapshot it is one less than `seq`: the event that made the snapshot
    (the follower's own joining) may be shown as a frame too."""

    def __post_init__(self) -> None:
        self._floor = self.seq

    def resume(self, url: str) -> str:
        """The URL to connect to, so that what is missing comes."""
        if self.seq is None or self.epoch is None:
            return url
        parts = urlsplit(url)
        query = "&".join(filter(None, (parts.query, urlencode({"since": self.seq, "epoch": self.epoch}))))
        return urlunsplit(parts._replace(query=query))

    def place(self, frame: Mapping[str, Any]) -> Place:
        """What the frame is; it counts as heard from now on. Raises Gap, after which the connection is of no use."""
        seq = frame.get("seq")
        seq = seq if type(seq) is int else None
        match frame.get("recovered"):
            case True:
                return self._resumed(seq, frame.get("epoch"))
            case False:
                self.seq, self.epoch = seq or 0, frame.get("epoch")
                self._floor, self.gaps = self.seq - 1, 0
                return Place.SNAPSHOT
            case _:
                return Place.ASIDE if seq is None else self._logged(seq)

    def _resumed(self, seq: int | None, epoch: str | None) -> Place:
        if self.seq is None:
            self.seq = self._floor = seq
        elif seq is not None and (seq > self.seq or epoch != self.epoch):
            raise self._gap(self.seq, seq)
        self.epoch = epoch
        return Place.RESUMED

    def _logged(self, seq: int) -> Place:
        if self._floor is not None and seq <= self._floor:
            return Place.REPEAT
        if self.contiguous and self.seq is not None and seq > self.seq + 1:
            raise self._gap(self.seq, seq)
        self.seq = self._floor = seq
        self.gaps = 0
        return Place.LOGGED

    def _gap(self, after: int, seq: int) -> Gap:
        """The first time the log is asked again for what is missing; then a snapshot has to do."""
        self.gaps += 1
        if self.gaps >= MOST_GAPS:
            self.seq = self.epoch = self._floor = None
        return Gap(after, seq)
