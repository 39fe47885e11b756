"""What has to go when a data subject is to be forgotten: which streams, which keys, which bytes beside the log.

To be found before the keys are destroyed, as much of it is in what they seal. Blocks; for threads.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from pathlib import Path

from msgspec import Struct

from core.identifiers import StreamName
from eventstore.archives import COMMAND, STATE, reading
from eventstore.index import as_text
from eventstore.personal import FORKED, NAMES_BLOBS, OWNERS, PERSONAL_EVENTS
from eventstore.recorder import TABLE
from eventstore.sealing import Vault, has_clear_text
from eventstore.subjects import FIRST, PERSON, STREAM, First, is_shared, owner

_DIGEST = re.compile(r"[0-9a-f]{64}")

_FORKS = f"SELECT originator_id FROM {TABLE} WHERE topic IN (?, ?) AND JSON_EXTRACT({STATE}, '$.source') = ?"
_ROWS = f"SELECT originator_id, originator_version, topic, {STATE}, {COMMAND} FROM {TABLE} WHERE "


class Remains(Struct, frozen=True):
    """What there is of a subject. `streams` are its own, and the forks of a stream that is nobody's; `blobs` are
    digests that nobody else's events name.

    `in_clear`: events of it that were recorded before there was encryption, whose text no forgetting reaches.
    `elsewhere`: events in which a person says something in streams of others, whose text goes when those are forgotten.
    """

    subject: str
    key_ids: tuple[str, ...]
    streams: tuple[StreamName, ...]
    blobs: tuple[str, ...]
    in_clear: int
    elsewhere: int


def remains(path: Path, vault: Vault, subject: str) -> Remains:
    """What there is of the subject in the log at `path` and its keys. Raises sqlite3.Error, Undecodable."""
    with closing(reading(path)) as connection:
        streams = tuple(sorted(_streams(connection, subject)))
        subjects = {subject, *(STREAM + stream for stream in streams if subject.startswith(STREAM))}
        blobs, in_clear = _looked_through(connection, vault, streams)
        blobs -= _named_by_others(connection, vault, streams) if blobs else set()
        spoken = _spoken_in_clear(connection, subject)
        elsewhere = _said_elsewhere(connection, vault, subject, set(streams))
    return Remains(
        subject,
        tuple(key_id for each in sorted(subjects) for key_id in vault.ring.ids_of(each)),
        tuple(map(StreamName, streams)),
        tuple(sorted(blobs)),
        in_clear + spoken,
        elsewhere,
    )


def _streams(connection: sqlite3.Connection, subject: str) -> Iterator[str]:
    """The streams that are the subject's own; a fork of one that is nobody's is nobody's too, and says the same."""
    for stream in set(_candidates(connection, subject)):
        first: First | None = connection.execute(FIRST, (stream,)).fetchone()
        whose = STREAM + stream if subject.startswith(STREAM) else subject
        if first is not None and owner(stream, first) == whose and not is_shared(stream):
            yield stream


def _candidates(connection: sqlite3.Connection, subject: str) -> Iterator[str]:
    if subject.startswith(STREAM):
        yield from _with_forks(connection, subject.removeprefix(STREAM))
        return
    person = subject.removeprefix(PERSON)
    query = f"SELECT originator_id FROM {TABLE} WHERE principal = ? AND originator_version = 1"
    yield from (stream for (stream,) in connection.execute(query, (person,)))
    query = f"SELECT originator_id FROM {TABLE} WHERE topic = ? AND JSON_EXTRACT({STATE}, ?) = ?"
    for name, field in OWNERS.items():
        yield from (stream for (stream,) in connection.execute(query, (name, f"$.{field}", person)))


def _with_forks(connection: sqlite3.Connection, stream: str) -> set[str]:
    """The stream, its forks, and theirs."""
    found, fresh = set[str](), {stream}
    while fresh:
        found |= fresh
        forks = (fork for source in fresh for (fork,) in connection.execute(_FORKS, (*FORKED, source)))
        fresh = set(forks) - found
    return found


def _looked_through(connection: sqlite3.Connection, vault: Vault, streams: Collection[str]) -> tuple[set[str], int]:
    """The digests in these streams, and how many of their events are in clear."""
    digests, in_clear = set[str](), 0
    for stream in streams:
        for row in connection.execute(_ROWS + "originator_id = ?", (stream,)):
            digests |= _digests(vault, *row)
            in_clear += has_clear_text(*row[2:])
    return digests, in_clear


def _named_by_others(connection: sqlite3.Connection, vault: Vault, streams: Collection[str]) -> set[str]:
    named, own = set[str](), set(streams)
    for name in NAMES_BLOBS:
        for row in connection.execute(_ROWS + "topic = ?", (name,)):
            if row[0] not in own:
                named |= _digests(vault, *row)
    return named


def _digests(vault: Vault, stream: str, version: int, name: str, state: str, command: str | None) -> set[str]:
    texts = as_text(vault.event(stream, version, name, state)), as_text(vault.command(stream, version, command))
    return {digest for text in texts for digest in _DIGEST.findall(text)}


def _spoken_in_clear(connection: sqlite3.Connection, subject: str) -> int:
    """How many events of a person in streams of many are in clear."""
    rows = _spoken(connection, subject)
    return sum(has_clear_text(*row[2:]) for row in rows if is_shared(row[0]))


def _said_elsewhere(connection: sqlite3.Connection, vault: Vault, subject: str, own: Collection[str]) -> int:
    """How many events of a person in streams of others have a text that can be read."""
    return sum(
        stream not in own and not is_shared(stream) and name in PERSONAL_EVENTS and not vault.is_erased(state)
        for stream, _, name, state, _ in _spoken(connection, subject)
    )


def _spoken(connection: sqlite3.Connection, subject: str) -> Iterable[tuple[str, int, str, str, str | None]]:
    """What was recorded by a person, wherever."""
    if not subject.startswith(PERSON):
        return ()
    return connection.execute(_ROWS + "principal = ?", (subject.removeprefix(PERSON),))
