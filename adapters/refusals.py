"""The commands behind a stream's refusals, for who plays a few of its records at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from core.decider import CommandRejected
from core.identifiers import StreamName
from core.messages import Recorded
from core.ports import EventStore
from eventstore.archives import COMMAND
from eventstore.codec import Undecodable, UnknownName, decoded_command
from eventstore.index import Opener
from eventstore.proofs import Select
from eventstore.sqlite import SQLiteStore

_COMMANDS = f"""SELECT originator_version, {COMMAND} FROM stored_events
    WHERE originator_id = ? AND originator_version BETWEEN ? AND ? AND command IS NOT NULL"""  # noqa: S608  # the expression is ours


async def refused_among(store: EventStore, stream: StreamName, records: Iterable[Recorded]) -> dict[int, Any]:
    """The commands behind those of the records that are refusals, by their versions; not those that this version of
    Callboard cannot read. Raises StoreUnavailable."""
    versions = [record.version for record in records if isinstance(record.event, CommandRejected)]
    if not versions:
        return {}
    if isinstance(store, SQLiteStore):
        opener = store.opener
        return await store.look(lambda select: dict(_stored(select, stream, versions, opener)))
    said = await store.read_commands(stream)
    return {version: said[version] for version in versions if version in said}


def _stored(
    select: Select, stream: StreamName, versions: list[int], opener: Opener | None
) -> Iterator[tuple[int, Any]]:
    sought = set(versions)
    for version, stored in select(_COMMANDS, (stream, versions[0], versions[-1])):
        if version in sought:
            with suppress(UnknownName, Undecodable):
                said = stored if opener is None else opener.command(stream, version, stored) or ""
                yield version, decoded_command(said)
