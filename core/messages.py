"""What travels between the parts: stamps, decisions, recorded events and the outcomes askers get."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from core.decider import Rejected
from core.identifiers import StreamName

MAX_COMMAND_ID_LENGTH = 128
"""Characters in a command id a client may choose (contracts, "Retries")."""


class Stamp(Struct, frozen=True, gc=False):
    """The circumstances of a command; stored with every event it led to.

    `time` is µs UTC since the epoch, read once by the shell that took the command. `command_id` is the id the
    sender chose, None when it chose none: only chosen ids are remembered for retries. `causation_id` is the id of
    the event that caused this command (`Recorded.id`), None for a command from outside. `origin` is the
    connection it came by, "" for none.
    """

    correlation_id: str
    time: int
    command_id: str | None = None
    causation_id: str | None = None
    principal: str = "anonymous"
    origin: str = ""

    @property
    def client_command_id(self) -> str | None:
        """The command id, where a client chose it: an effect's commands are caused by an event, a client's by none."""
        return self.command_id if self.causation_id is None else None


class Decision(Struct, frozen=True, gc=False):
    """One decided command: what to append, atomically, and why. `events` is never empty."""

    stamp: Stamp
    command: Any
    events: tuple[Any, ...]


class Recorded(Struct, frozen=True, gc=False):
    """One event as the log holds it. `position` counts through the log, `version` through its stream; both from 1."""

    position: int
    stream: StreamName
    version: int
    event: Any
    stamp: Stamp

    @property
    def id(self) -> str:
        """The event's identity everywhere: `<stream>@<version>`, unique by the log's own key."""
        return f"{self.stream}@{self.version}"


class Accepted(Struct, frozen=True, gc=False):
    """The command's events are durable. `repeated`: they were already, and this was a retry.

    `state` is the actor's state after these events (or now, for a repeated command) and `version` the stream's.
    """

    records: tuple[Recorded, ...]
    state: Any
    version: int
    repeated: bool = False


class Refused(Struct, frozen=True, gc=False):
    """The decider said no. The refusal is recorded too, unless the stream does not exist."""

    rejection: Rejected
    records: tuple[Recorded, ...] = ()
    repeated: bool = False


class Busy(Struct, frozen=True, gc=False):
    """The mailbox is full; nothing was taken. Ask again after `retry_after` seconds."""

    retry_after: float = 1.0


class Unavailable(Struct, frozen=True, gc=False):
    """Nobody can say yes now: the log cannot be written or read, or the server is stopping.

    The command may be asked again with the same id: if it did get through, the first outcome comes back.
    """

    reason: str
    retry_after: float = 1.0


Outcome = Accepted | Refused | Busy | Unavailable


def recorded_at(outcome: Outcome) -> int | None:
    """When what this outcome tells of was recorded, in µs; None where nothing was, or long before.

    An answer that says this time can be told again from the log.
    """
    if isinstance(outcome, Busy | Unavailable) or outcome.repeated or not outcome.records:
        return None
    return outcome.records[-1].stamp.time
