"""A record as one JSON object: what `callboard log … --json` prints and what the event streams of the log send."""

from __future__ import annotations

from typing import Any

import msgspec

from adapters.protocols.wire import iso_time
from core.messages import Recorded
from eventstore.codec import events

_encode = msgspec.json.Encoder().encode


def as_object(record: Recorded) -> dict[str, Any]:
    """Everything the log says of a record but its hash; the payload still as the event itself."""
    stamp = record.stamp
    return {
        "position": record.position,
        "stream": str(record.stream),
        "version": record.version,
        "event": events.name_of(type(record.event)),
        "payload": record.event,
        "time": iso(stamp.time),
        "correlation_id": stamp.correlation_id,
        "causation_id": stamp.causation_id,
        "command_id": stamp.command_id,
        "principal": stamp.principal,
        "origin": stamp.origin,
    }


def json_line(record: Recorded) -> bytes:
    """The object on one line."""
    return _encode(as_object(record))


def iso(time: int) -> str:
    """ISO 8601 in UTC; also where somebody stored a time that no calendar has, for the log must stay readable."""
    try:
        return iso_time(time)
    except OverflowError:
        return f"{time} µs"
