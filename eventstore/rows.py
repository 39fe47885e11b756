"""Decisions as rows to insert, and as the records they are once they are durable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import json

from core.identifiers import StreamName
from core.messages import Decision, Recorded
from eventstore.chain import Row
from eventstore.codec import commands, events

_encode = json.Encoder().encode


def to_rows(stream: StreamName, decisions: Sequence[Decision], version: int) -> tuple[list[Row], list[str]]:
    """The rows to insert (chain.COLUMNS without the position), and the command ids among them."""
    rows: list[Row] = []
    ids: list[str] = []
    name_of_stream = str(stream)  # SQLite and MessagePack are quicker with a plain one
    for decision in decisions:
        stamp = decision.stamp
        command: bytes | None = _command(decision.command)
        if stamp.command_id is not None:
            ids.append(stamp.command_id)
        for event in decision.events:
            version += 1
            name, state = events.encode(event)
            rows.append(
                (name_of_stream, version, name, state, stamp.time, stamp.correlation_id, stamp.causation_id,
                 stamp.command_id, stamp.principal, stamp.origin, command)
            )  # fmt: skip
            command = None
    return rows, ids


def _command(command: Any) -> bytes:
    return b'{"name":"%s","body":%s}' % (commands.name_of(type(command)).encode(), _encode(command))


def to_records(stream: StreamName, decisions: Sequence[Decision], version: int, position: int) -> tuple[Recorded, ...]:
    """The decisions' events as they are in the log behind `position`, the stream having been at `version`."""
    records = []
    for decision in decisions:
        stamp = decision.stamp
        for event in decision.events:
            position, version = position + 1, version + 1
            records.append(Recorded(position, stream, version, event, stamp))
    return tuple(records)
