"""Parquet (parquet.apache.org), by pyarrow: typed columns, in row groups of bounded size."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from adapters.exports.comma_separated import NULLABLE
from adapters.exports.formats import NotExported
from eventstore.audit import Entry

BATCH = 1000
MOST_ROWS = 20_000
"""Of a row group, but for its last batch."""
MOST_CHARACTERS = 16 * 1024 * 1024
"""Of the payloads and commands in it, likewise."""

NUMBERS = frozenset({"position", "version"})

pyarrow: Any = importlib.import_module("pyarrow")
parquet: Any = importlib.import_module("pyarrow.parquet")


def _type(name: str) -> Any:
    if name == "time":
        return pyarrow.timestamp("us", tz="UTC")
    return pyarrow.int64() if name in NUMBERS else pyarrow.string()


SCHEMA = pyarrow.schema([
    pyarrow.field(name, _type(name), nullable=name in NULLABLE) for name in Entry.__struct_fields__
])  # fmt: skip


class Outflow:
    """A file for pyarrow to write to, whose bytes are taken away as they come."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._written = 0

    def write(self, content: Any) -> int:
        self._pieces.append(bytes(content))
        self._written += len(self._pieces[-1])
        return len(self._pieces[-1])

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        """What is written is here already."""

    def close(self) -> None:
        self.closed = True

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


class ParquetWriter:
    """An adapters.exports.formats.Writer."""

    def __init__(self, *, compress: bool) -> None:
        self._outflow = Outflow()
        self._file = parquet.ParquetWriter(self._outflow, SCHEMA, compression="zstd" if compress else "none")
        self._batches: list[Any] = []
        self._rows = self._characters = 0

    def begin(self) -> bytes:
        return self._outflow.taken()

    def write(self, entries: Sequence[Entry]) -> bytes:
        self._batches.append(_batch(entries))
        self._rows += len(entries)
        self._characters += sum(len(entry.payload) + len(entry.command or "") for entry in entries)
        if self._rows >= MOST_ROWS or self._characters >= MOST_CHARACTERS:
            self._write_group()
        return self._outflow.taken()

    def end(self) -> bytes:
        if self._batches:
            self._write_group()
        self._file.close()
        return self._outflow.taken()

    def _write_group(self) -> None:
        table = pyarrow.Table.from_batches(self._batches, SCHEMA)
        self._file.write_table(table, row_group_size=self._rows)
        self._batches.clear()
        self._rows = self._characters = 0


def _batch(entries: Sequence[Entry]) -> Any:
    columns = zip(*map(structs.astuple, entries), strict=True)
    try:
        arrays = [pyarrow.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
        return pyarrow.RecordBatch.from_arrays(arrays, schema=SCHEMA)
    except (pyarrow.ArrowException, OverflowError, UnicodeError) as fault:  # somebody put something else into the log
        reason = f"what the log has from position {entries[0].position} on is not of the columns' types: {fault}"
        raise NotExported(f"{reason}; export as jsonl") from None


def read(file: Path) -> Iterator[Sequence[Entry]]:
    """The file's entries in batches. Raises NotExported, OSError."""
    time = SCHEMA.get_field_index("time")
    try:
        with parquet.ParquetFile(file) as opened:
            for batch in opened.iter_batches(BATCH):
                numbers = batch.set_column(time, "time", batch.column(time).cast(pyarrow.int64()))
                yield msgspec.convert(numbers.to_pylist(), list[Entry])
    except (pyarrow.ArrowException, msgspec.ValidationError, KeyError) as fault:
        raise NotExported(f"{file} is no export as Parquet: {fault}") from None
