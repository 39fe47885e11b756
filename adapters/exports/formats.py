"""What an export is written with: a writer for each format, none of which does any I/O.

A writer turns entries into bytes as they come, and keeps what is not whole yet. Beside it stands the reader of the same
format, so that a file can be held against its manifest.
"""

from __future__ import annotations

import gzip
import importlib.util
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from io import BufferedIOBase
from pathlib import Path
from typing import Protocol

from eventstore.audit import Entry

GZIP = 31
"""What zlib calls gzip (RFC 1952). Without a name and a time in it, equal contents become equal files."""
SUFFIX = ".gz"


class NotExported(Exception):
    """Why there is no export, or why a file is not one. The message says what to do, where there is anything."""


class Format(StrEnum):
    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


class Writer(Protocol):
    """Makes a file, piece by piece. What it keeps is bounded, however long the file becomes."""

    def begin(self) -> bytes:
        """What comes before all entries."""

    def write(self, entries: Sequence[Entry]) -> bytes:
        """The next entries; b"" where they are kept for a larger piece. Raises NotExported."""

    def end(self) -> bytes:
        """What comes last."""


class Gzipped:
    """Another writer's bytes, made smaller."""

    def __init__(self, writer: Writer) -> None:
        self._writer, self._deflate = writer, zlib.compressobj(wbits=GZIP)

    def begin(self) -> bytes:
        return self._deflate.compress(self._writer.begin())

    def write(self, entries: Sequence[Entry]) -> bytes:
        return self._deflate.compress(self._writer.write(entries))

    def end(self) -> bytes:
        return self._deflate.compress(self._writer.end()) + self._deflate.flush()


def writer_of(format: Format, *, compress: bool = False) -> Writer:
    """Parquet is compressed inside, by zstd; the others become gzip files. Raises NotExported."""
    match format:
        case Format.JSONL:
            from adapters.exports.json_lines import JSONLinesWriter

            return Gzipped(JSONLinesWriter()) if compress else JSONLinesWriter()
        case Format.CSV:
            from adapters.exports.comma_separated import CSVWriter

            return Gzipped(CSVWriter()) if compress else CSVWriter()
        case Format.PARQUET:
            refuse_unwritable(format)
            from adapters.exports.parquet import ParquetWriter

            return ParquetWriter(compress=compress)


def entries_in(file: Path, format: Format, *, compressed: bool = False) -> Iterator[Sequence[Entry]]:
    """What an export has, in batches, read as it was written. Raises NotExported, OSError."""
    match format:
        case Format.JSONL:
            from adapters.exports import json_lines

            return json_lines.read(file, compressed=compressed)
        case Format.CSV:
            from adapters.exports import comma_separated

            return comma_separated.read(file, compressed=compressed)
        case Format.PARQUET:
            refuse_unwritable(format)
            from adapters.exports import parquet

            return parquet.read(file)


@contextmanager
def reading(file: Path, *, compressed: bool) -> Iterator[BufferedIOBase]:
    """The file's bytes as they were before they were compressed. Raises NotExported, OSError."""
    opened: BufferedIOBase = gzip.GzipFile(file) if compressed else file.open("rb")
    with opened:
        try:
            yield opened
        except (EOFError, zlib.error, gzip.BadGzipFile) as fault:
            raise NotExported(f"{file} is no whole gzip file: {fault}") from None


def refuse_unwritable(format: Format) -> None:
    """Raises NotExported where what the format needs is not installed."""
    if format is Format.PARQUET and importlib.util.find_spec("pyarrow") is None:
        raise NotExported("Parquet needs the package pyarrow, which is not installed; pip install 'callboard[parquet]'")


def format_of(file: Path) -> tuple[Format, bool] | None:
    """The format that the file's name tells, and whether it is compressed; None where it tells none."""
    compressed = file.suffix == SUFFIX
    ending = (file.with_suffix("") if compressed else file).suffix.removeprefix(".")
    return (Format(ending), compressed) if ending in set(Format) else None
