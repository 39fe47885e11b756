"""What goes to the one that commits, and what comes back: plain values, as that may be another process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from core.identifiers import StreamName
from core.ports import DuplicateCommand, StoreUnavailable, WrongExpectedVersion
from eventstore.chain import Row

UNWRITABLE = (ValueError, TypeError, OverflowError)
"""What a row raises that cannot be stored at all, e.g. for half a surrogate pair. It is its appender's own fault."""


class Work(Struct, frozen=True, array_like=True, tag=0):
    """One append: rows (chain.COLUMNS without the position) behind a stream's version; the command ids among them."""

    stream: str
    expected_version: int
    rows: Sequence[Row]
    command_ids: Sequence[str]


class Statement(Struct, frozen=True, array_like=True, tag=1):
    """Anything else to be written by the one connection that writes, committed together with the appends around it."""

    sql: str
    parameters: tuple[Any, ...]


Batch = list[Work | Statement]


class Refusal(Struct, frozen=True, array_like=True):
    """Why one piece of a batch was not written. `kind` is a key of REFUSALS, `arguments` are those of its exception."""

    kind: str
    arguments: tuple[Any, ...]


class Report(Struct, frozen=True, array_like=True):
    """What became of a batch.

    `verdicts`: for each piece the position of its last row (0 for a statement), or why it was refused; none of them
    when a `fault` befell the whole. `seconds` the commit took; `rewritten`: it was written again piece by piece.
    `settled`: how far the log really was before, when an earlier fault had left that in doubt.
    """

    verdicts: tuple[int | Refusal, ...] = ()
    rows: int = 0
    seconds: float = 0.0
    rewritten: bool = False
    settled: int | None = None
    fault: str | None = None


def conflict(work: Work, actual: int) -> Refusal:
    """Somebody else wrote to the stream."""
    return Refusal("conflict", (work.stream, work.expected_version, actual))


def duplicate(work: Work, command_id: str) -> Refusal:
    """The command is in the log already."""
    return Refusal("duplicate", (work.stream, command_id))


def unwritable(error: Exception) -> Refusal:
    """One of UNWRITABLE was raised by what was to be written."""
    kind = next(kind for kind in UNWRITABLE if isinstance(error, kind))
    return Refusal(kind.__name__, (str(error),))


def unavailable(reason: str) -> Refusal:
    """The log itself refused."""
    return Refusal("unavailable", (reason,))


def _conflict(stream: str, expected: int, actual: int) -> Exception:
    return WrongExpectedVersion(StreamName(stream), expected, actual)


def _duplicate(stream: str, command_id: str) -> Exception:
    return DuplicateCommand(StreamName(stream), command_id)


REFUSALS = {
    "conflict": _conflict,
    "duplicate": _duplicate,
    "unavailable": StoreUnavailable,
    **{kind.__name__: kind for kind in UNWRITABLE},
}


def error_of(refusal: Refusal) -> Exception:
    """The exception its appender is to get."""
    return REFUSALS[refusal.kind](*refusal.arguments)
