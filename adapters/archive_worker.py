"""An archive written by a process of its own: asked by JSON on standard input, answered by JSON on standard output."""

from __future__ import annotations

import sys
from pathlib import Path

from msgspec import Struct, json

from adapters import priority
from eventstore.archiving import Archived, NotArchived, Stub, write_archive


class Asked(Struct, frozen=True):
    """Streams to archive as far as there is room, and the log they are in."""

    log: str
    streams: list[str]


class Told(Struct, frozen=True):
    """The archive, whose `streams` are the first of those asked for, and what may leave the log for it."""

    archived: Archived
    stubs: list[Stub]


def main() -> int:
    """Status 1 where it was not archived; why is said instead of the answer."""
    priority.come_last(priority.NICENESS)
    asked = json.decode(sys.stdin.buffer.read(), type=Asked)
    try:
        told = Told(*write_archive(Path(asked.log), asked.streams))
    except (NotArchived, OSError) as fault:
        sys.stdout.write(f"it was not archived: {fault}")
        return 1
    sys.stdout.buffer.write(json.encode(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())
