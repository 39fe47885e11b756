"""The process that writes an archive (adapters/apart.py): it reads and compresses for seconds."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct, msgpack

from adapters import apart
from eventstore.archived import left_over
from eventstore.archiving import Altered, Archived, NotArchived, Stub, write_archive
from eventstore.turns import take_turns


class Question(Struct, frozen=True):
    """Streams to archive as far as there is room, and the log they are in. Without any: what was left to do the last
    time."""

    log: str
    streams: list[str]


class Told(Struct, frozen=True, tag=True):
    """The archive, if there is one, and what may leave the log for it. `taken` of the streams asked for were seen to,
    the first ones; `skipped` says of which of them it cannot be done, and why."""

    archived: Archived | None
    stubs: list[Stub]
    taken: int = 0
    skipped: list[str] = []


class Failed(Struct, frozen=True, tag=True):
    reason: str


Message = Told | Failed
"""There is one."""


def answer(question: bytes, tell: apart.Tell) -> None:
    """Write the archive, and say so."""
    asked = msgpack.decode(question, type=Question)
    take_turns(Path(asked.log))
    message: Message
    try:
        message = _told(Path(asked.log), asked.streams)
    except (NotArchived, OSError) as fault:
        message = Failed(f"it was not archived: {fault}")
    tell(msgpack.encode(message))


def _told(log: Path, streams: list[str]) -> Told:
    if not streams:
        return Told(None, left_over(log))
    skipped, whole = list[str](), streams
    while whole:
        try:
            archived, stubs = write_archive(log, whole)
        except Altered as fault:  # the others can be archived
            skipped.append(str(fault))
            whole = [stream for stream in whole if stream != fault.stream]
        else:
            taken = streams.index(whole[archived.streams - 1]) + 1
            return Told(archived, stubs, taken, skipped)
    return Told(None, [], len(streams), skipped)


if __name__ == "__main__":
    apart.answer(answer)
