"""CSV (RFC 4180): a header line, then a line for each event; UTF-8, lines ended by CRLF.

Spreadsheets take a cell that begins with = + - @ or a control character for a formula, and what clients send must
not become one. Such a text gets an apostrophe in front of it, and so does one that begins with an apostrophe: whoever
wants the text itself takes the first apostrophe away. An empty cell is null; an empty text where null is possible is an
apostrophe alone.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from adapters.exports.formats import NotExported, reading
from eventstore.audit import Entry

BATCH = 1000
GUARD = "'"
RISKY = frozenset("=+-@＝＋－＠\t\r\n'")
"""First characters of texts that are guarded."""
MOST_IN_CELL = 1 << 30

NAMES = Entry.__struct_fields__
NULLABLE = frozenset({"causation", "command_id", "command"})
_GUARDED = {True: RISKY | {""}, False: RISKY}
_RISKS = [_GUARDED[name in NULLABLE] for name in NAMES]


class CSVWriter:
    """An adapters.exports.formats.Writer."""

    def begin(self) -> bytes:
        return _lines([NAMES])

    def write(self, entries: Sequence[Entry]) -> bytes:
        return _lines([_cells(entry) for entry in entries])

    def end(self) -> bytes:
        return b""


def _lines(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode(errors="replace")


def _cells(entry: Entry) -> list[Any]:
    return [
        GUARD + value if isinstance(value, str) and value[:1] in risks else value
        for value, risks in zip(structs.astuple(entry), _RISKS, strict=True)
    ]


def unguarded(name: str, cell: str) -> str | None:
    """The text that a cell of the column stands for."""
    if cell.startswith(GUARD):
        return cell[1:]
    return None if not cell and name in NULLABLE else cell


def read(file: Path, *, compressed: bool) -> Iterator[Sequence[Entry]]:
    """The file's entries in batches. Raises NotExported, OSError."""
    csv.field_size_limit(MOST_IN_CELL)
    with reading(file, compressed=compressed) as content:
        rows = csv.reader(map(bytes.decode, content), strict=True)
        try:
            if tuple(next(rows, ())) != NAMES:
                raise NotExported(f"{file} is no export as CSV: its header is another")
            while batch := [_entry(row) for row in islice(rows, BATCH)]:
                yield batch
        except (msgspec.ValidationError, csv.Error, ValueError) as fault:
            raise NotExported(f"{file} is no export as CSV: {fault}") from None


def _entry(row: Sequence[str]) -> Entry:
    fields = {name: unguarded(name, cell) for name, cell in zip(NAMES, row, strict=True)}
    return msgspec.convert(fields, Entry, strict=False)
