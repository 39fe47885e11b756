"""A resume: what a stream's listeners were shown while one of them was away, shown again from the log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from actors.audience import is_for
from core.decider import AnyDecider
from core.dialect import Dialect, Recall
from core.ports import EventStore

PAGE = 500
"""Records read at a time."""


async def retell(
    recall: Recall,
    log: EventStore,
    decider: AnyDecider,
    dialect: Dialect,
    *,
    connection_id: str,
    begin: Callable[[Any], None],
    show: Callable[[bytes], Awaitable[None]],
) -> None:
    """Give `begin` the state at `since`, then `show` each frame up to `until` that is for this connection.

    Raises StoreUnavailable.
    """
    state, version = decider.initial, 0
    if recall.since == 0:
        begin(state)
    while version < recall.until:
        most = min(PAGE, recall.until - version)
        records = await log.read_stream(recall.stream, after=version, limit=most)
        if not records:
            return
        for record in records:
            state, version = decider.fold(state, (record.event,)), record.version
            if version == recall.since:
                begin(state)
            elif version > recall.since:
                frame = dialect.render(record, state)
                if frame is not None and is_for(frame, record, connection_id):
                    await show(frame.body)
