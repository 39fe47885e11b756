"""An archive written by a process of its own: asked by JSON on standard input, answered by JSON on standard output."""

from __future__ import annotations

import sys
from pathlib import Path

from msgspec import Struct, json

from adapters import priority
from eventstore.archived import left_over
from eventstore.archiving import Altered, Archived, NotArchived, Stub, write_archive


class Asked(Struct, frozen=True):
    """Streams to archive as far as there is room, and the log they are in. Without any: what was left to do the last
    time."""

    log: str
    streams: list[str]


class Told(Struct, frozen=True):
    """The archive, if there is one, and what may leave the log for it. `taken` of the streams asked for were seen to,
    the first ones; `skipped` says of which of them it cannot be done, and why."""

    archived: Archived | None
    stubs: list[Stub]
    taken: int = 0
    skipped: list[str] = []


def main() -> int:
    """Status 1 where it was not archived; why is said instead of the answer."""
    priority.come_last(priority.NICENESS)
    asked = json.decode(sys.stdin.buffer.read(), type=Asked)
    try:
        told = _told(Path(asked.log), asked.streams)
    except (NotArchived, OSError) as fault:
        sys.stdout.write(f"it was not archived: {fault}")
        return 1
    sys.stdout.buffer.write(json.encode(told))
    return 0


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
    sys.exit(main())
