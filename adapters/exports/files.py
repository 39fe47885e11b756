"""An export as a file with its manifest beside it: both are there whole, or neither is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import file_digest
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from adapters.exports.apart import ExportApart
from adapters.exports.formats import NotExported, entries_in
from adapters.exports.manifest import Ledger, Manifest, as_json, manifest_file, read_manifest
from adapters.exports.writing import Question

MOST_UNSYNCED = 512 * 1024
"""Bytes that may wait for the disk: whoever commits to the same disk meanwhile would have to wait for all of them."""


def refuse_present(file: Path) -> None:
    """An export is evidence, and is not overwritten. Raises NotExported."""
    for path in (file, manifest_file(file)):
        if path.exists():
            raise NotExported(f"{path} is there already; name a new file")
    if not file.parent.is_dir():
        raise NotExported(f"there is no folder {file.parent}; make it first")


async def export_to(file: Path, question: Question, advanced: Callable[[int], None]) -> Manifest:
    """Write the file and its manifest; `advanced` hears how far the log has been read. Raises NotExported, OSError."""
    refuse_present(file)
    with appearing(file, manifest_file(file)) as (out, manifest_out):
        async with ExportApart(question) as export:
            async for piece in export:
                out.write(piece.content)
                advanced(piece.position)
        manifest = export.told
        manifest_out.write(as_json(manifest))
    return manifest


class Gradual:
    """A file that is new, and on the disk soon after it is written to."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._unsynced = file, 0

    def write(self, content: bytes) -> None:
        self._file.write(content)
        self._unsynced += len(content)
        if self._unsynced >= MOST_UNSYNCED:
            self.sync()

    def sync(self) -> None:
        """Come back when all that was written is on the disk."""
        self._file.flush()
        os.fdatasync(self._file.fileno())
        self._unsynced = 0


@contextmanager
def appearing(*paths: Path) -> Iterator[list[Gradual]]:
    """Files that appear, in this order, when all are whole and on the disk; else they leave nothing behind."""
    partials = [path.with_name(f".{path.name}.{uuid4().hex[:8]}.partial") for path in paths]
    with ExitStack() as stack:
        for partial in partials:
            stack.callback(partial.unlink, missing_ok=True)
        opened = [Gradual(stack.enter_context(partial.open("xb"))) for partial in partials]
        yield opened
        for file in opened:
            file.sync()
        for partial, path in zip(partials, paths, strict=True):
            partial.rename(path)
        _sync_folder(paths[0].parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_file(file: Path, advanced: Callable[[int], None]) -> Manifest:
    """The manifest of an export that it agrees with: its bytes, and the entries read from it. Raises NotExported,
    OSError."""
    manifest = read_manifest(manifest_file(file))
    with file.open("rb") as content:
        found = file_digest(content, "sha256").hexdigest()
    if found != manifest.file.sha256:
        raise NotExported(f"{file} is not what was exported: its SHA-256 is {found}, not {manifest.file.sha256}")
    ledger, count = Ledger(), 0
    for entries in entries_in(file, manifest.file.format, compressed=manifest.file.compressed):
        ledger.take(entries)
        advanced(count := count + len(entries))
    if ledger.contained() != manifest.entries:
        raise NotExported(f"{manifest_file(file)} does not say what is in {file}")
    return manifest
