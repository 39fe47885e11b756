"""Telling somebody what the log says: in one form for the command line and HTTP, and never without a record of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from adapters.protocols.wire import iso_time
from adapters.setting_values import Unusable
from core.audit import NoteAccess
from core.identifiers import Category, StreamName
from core.ports import EventStore
from eventstore.audit import AuditLog, Entry, Filters
from eventstore.index import Index, Opener

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECONDS = re.compile(r"-?[0-9]{1,18}")


def audit_log(path: Path | None, store: EventStore) -> AuditLog | None:
    """The log in a file, for questions; None where it is no file."""
    return None if path is None else AuditLog(path, _opener(store))


async def keep_indexed(path: Path | None, store: EventStore) -> None:
    """Keep the index beside the log level with it, for ever."""
    if path is not None:
        await Index(path, _opener(store)).follow(lambda: store.head)


def _opener(store: EventStore) -> Opener | None:
    """What opens the sealed texts of a log. Only files have sealed ones."""
    opener: Opener | None = getattr(store, "opener", None)
    return opener


def stream_at(time: int) -> StreamName:
    """Where it is recorded what is done with the log at `time` (µs UTC): a stream for each day, `audit-2026-11-21`."""
    return StreamName.of(Category.AUDIT, f"{_EPOCH + timedelta(microseconds=time):%Y-%m-%d}")


def access(way: str, filters: Filters, entries: int, head: int, **more: str | int | bool) -> NoteAccess:
    """The command that records an access: what was asked, without the words that were searched for."""
    asked = {name: value for name, value in structs.asdict(filters).items() if value is not None}
    if filters.text is not None:
        del asked["text"]
        asked["text_sha256"] = sha256(filters.text.encode(errors="replace")).hexdigest()
    return NoteAccess(way, {**asked, **more}, entries, head)


def time_asked(text: str) -> int:
    """A time in ISO 8601, in UTC where it says nothing else, or in µs since the epoch; in µs. Raises Unusable."""
    if _MICROSECONDS.fullmatch(text):
        return int(text)
    try:
        then = datetime.fromisoformat(text)
        return ((then if then.tzinfo else then.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        raise Unusable.text(text, "a time; write it as 2026-11-21 or 2026-11-21T14:03:07") from None


def as_object(entry: Entry) -> dict[str, Any]:
    """All the log says of an event, its content as JSON and not as text."""
    return {
        "position": entry.position,
        "stream": entry.stream,
        "version": entry.version,
        "event": entry.event,
        "payload": _content(entry.payload),
        "time": _moment(entry.time),
        "correlation_id": entry.correlation,
        "causation_id": entry.causation,
        "command_id": entry.command_id,
        "principal": entry.principal,
        "origin": entry.origin,
        "command": None if entry.command is None else _content(entry.command),
        "hash": entry.hash,
    }


def _content(text: str) -> Any:
    """What a stored text says; itself where somebody made it unreadable."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return text


def _moment(time: int) -> str:
    """ISO 8601; also where somebody stored a time that no calendar has."""
    try:
        return iso_time(time)
    except OverflowError:
        return f"{time} µs"
