"""The replay gate: every recorded command is decided again, and must lead to the events that the log has.

A decider is pure, so the same state and the same command give the same events for ever; where today's code gives
others, a rule has changed since, or something impure has crept in. The states in between are folded from what was
recorded, so one difference does not make all that follows differ.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from core.decider import AnyDecider, CommandRejected, Rejected
from core.identifiers import StreamName

POISONED = "poisoned"
"""The code of a refusal that is about a crash, not about the command: nobody decided it (actors/actor.py)."""


class Divergence(Struct, frozen=True):
    """The first place of a stream where today's code says something else than the log.

    `version` is that of the first event recorded for the command. `today` are the events it would lead to now; where
    today's code raised instead, `crash` says what.
    """

    stream: StreamName
    version: int
    command: Any
    recorded: tuple[Any, ...]
    today: tuple[Any, ...]
    crash: str | None = None


class StreamGate:
    """Takes the decisions of one stream in their order, until one diverges."""

    def __init__(self, stream: StreamName, decider: AnyDecider) -> None:
        self._stream, self._decider = stream, decider
        self._state, self._version = decider.initial, 0

    def take(self, command: Any, recorded: tuple[Any, ...]) -> Divergence | None:
        """Decide `command` again and fold what it led to then. `command` is None where the log has none, as in a
        history that was brought in from elsewhere: then there is nothing to decide."""
        version = self._version + 1
        try:
            if command is not None and not _is_about_a_crash(recorded):
                today = self._decided(command)
                if today != recorded:
                    return Divergence(self._stream, version, command, recorded, today)
            self._state = self._decider.fold(self._state, recorded)
        except Exception as error:  # noqa: BLE001  # whatever today's code raises where it once did not is the finding
            return Divergence(self._stream, version, command, recorded, (), f"{type(error).__name__}: {error}")
        self._version += len(recorded)
        return None

    def _decided(self, command: Any) -> tuple[Any, ...]:
        decided = self._decider.decide(self._state, command)
        return (CommandRejected.of(decided),) if isinstance(decided, Rejected) else decided


def _is_about_a_crash(recorded: tuple[Any, ...]) -> bool:
    return type(recorded[0]) is CommandRejected and recorded[0].code == POISONED
