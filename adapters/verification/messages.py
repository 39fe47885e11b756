"""What is said between a server and the process that verifies its log (worker)."""

from __future__ import annotations

from msgspec import Struct


class Question(Struct, frozen=True):
    """Which log; `rest` are seconds after each page in which the disk is there for the living alone."""

    path: str
    rest: float = 0.0


class Progress(Struct, frozen=True, tag=True):
    """So many events are verified, of all that there were when it began."""

    done: int
    of: int


class Attested(Struct, frozen=True):
    """So many checkpoints hold, the newest of `newest` events. Of those that are signed the newest is of `signed`
    events, 0 where none is; `keys` are the ids of the keys (hex), and nobody checked here whether they signed."""

    held: int
    newest: int
    signed: int
    keys: tuple[str, ...]


class Holds(Struct, frozen=True, tag=True):
    """`head` is the chain's hash at the last event, in hex; `checkpoints` are None where there is none."""

    events: int
    head: str
    checkpoints: Attested | None = None


class Fails(Struct, frozen=True, tag=True):
    """The first thing that is the matter: where it begins and what stands there, as far as that is known, and why."""

    reason: str
    position: int | None = None
    event: str | None = None


Message = Progress | Holds | Fails
