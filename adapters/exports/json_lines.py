"""JSON Lines (jsonlines.org): an object for each event, with the fields of eventstore.audit.Entry.

`payload` and `command` are texts, as the log has them: parsed and written again they could differ in a space from what
the chain covers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import msgspec

from adapters.exports.formats import NotExported, reading
from eventstore.audit import Entry

BATCH = 1000


class JSONLinesWriter:
    """An adapters.exports.formats.Writer."""

    def __init__(self) -> None:
        self._lines = msgspec.json.Encoder().encode_lines

    def begin(self) -> bytes:
        return b""

    def write(self, entries: Sequence[Entry]) -> bytes:
        return self._lines(entries)

    def end(self) -> bytes:
        return b""


def read(file: Path, *, compressed: bool) -> Iterator[Sequence[Entry]]:
    """The file's entries in batches. Raises NotExported, OSError."""
    decode = msgspec.json.Decoder(Entry).decode
    with reading(file, compressed=compressed) as lines:
        try:
            while batch := [decode(line) for line in islice(lines, BATCH)]:
                yield batch
        except (msgspec.DecodeError, UnicodeError) as fault:
            raise NotExported(f"{file} is no export as JSON Lines: {fault}") from None
