"""The log as the decisions it is made of: each command with the events it led to, stream by stream.

For readers that look at all of a log and may share the work between processes: plain connections, no event loop.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from core.identifiers import StreamName
from core.ports import StoreUnavailable
from eventstore.archives import COMMAND, STATE, explained, reading
from eventstore.codec import Undecodable, UnknownName, decoded_command, events
from eventstore.recorder import TABLE
from eventstore.sealing import Opener

Group = tuple[Any, tuple[Any, ...]]
"""A command (None where the log has none) and its events."""


class Unreadable(Exception):
    """A row that this version of Callboard cannot read; the message says which and why."""


def streams(path: Path) -> list[tuple[str, int]]:
    """Every stream with the number of its events, by name."""
    with closing(reading(path)) as connection:
        query = f"SELECT originator_id, COUNT(*) FROM {TABLE} GROUP BY originator_id ORDER BY originator_id"
        return connection.execute(query).fetchall()


def decisions(
    connection: sqlite3.Connection | sqlite3.Cursor, stream: str, opener: Opener | None = None
) -> Iterator[Group]:
    """The stream's decisions in their order, read as they are asked for. Raises Unreadable, StoreUnavailable.

    From the first one on of which anything was forgotten there are no commands: they cannot be decided again.
    """
    query = f"SELECT topic, {STATE}, {COMMAND}, originator_version FROM {TABLE} WHERE originator_id = ? "
    command, recorded, reached, forgotten = None, list[Any](), 0, False
    try:
        for name, state, said, version in connection.execute(query + "ORDER BY originator_version", (stream,)):
            reached = version
            if said is not None and recorded:
                yield command, tuple(recorded)
                command, recorded = None, []
            if opener is not None:
                forgotten = forgotten or opener.is_erased(state) or (said is not None and opener.is_erased(said))
                state = opener.event(stream, version, name, state)
                said = opener.command(stream, version, said)
            if forgotten:
                command = None
            elif said is not None:
                command = decoded_command(said)
            recorded.append(events.decode(name, state))
    except (UnknownName, Undecodable) as reason:
        raise Unreadable(f"{StreamName(stream)}@{reached}: {reason}") from reason
    except sqlite3.Error as fault:
        raise StoreUnavailable(f"the log cannot be read: {explained(fault)}") from fault
    if recorded:
        yield command, tuple(recorded)
