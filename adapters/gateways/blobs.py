"""Where bytes live that are too large for the log: files named by their SHA-256, and a twin in memory."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import trio

from core.ports import BlobTooLarge

MAX_BLOB_BYTES = 64 * 1024 * 1024
"""Bytes one blob may have."""

ABANDONED = 3600
"""Seconds after which nobody is writing a file any more that has no name yet."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


class MemoryBlobs:
    """`core.ports.BlobStore` that ends with the process."""

    def __init__(self, max_bytes: int = MAX_BLOB_BYTES) -> None:
        self._max_bytes = max_bytes
        self._blobs: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self._blobs)

    async def put(self, content: bytes) -> str:
        await trio.lowlevel.checkpoint()
        digest = _digest_within(content, self._max_bytes)
        self._blobs[digest] = bytes(content)
        return digest

    async def get(self, digest: str) -> bytes | None:
        await trio.lowlevel.checkpoint()
        return self._blobs.get(digest)

    async def remove(self, digest: str) -> bool:
        await trio.lowlevel.checkpoint()
        return self._blobs.pop(digest, None) is not None


class FileBlobs:
    """`core.ports.BlobStore` in a folder, which is made when it is first needed.

    A blob is `<first two hex digits>/<digest>`. It is written beside its place, synced and then renamed, so that a
    crash leaves a whole blob or none; what a crash left beside is without a digest's name, never read, and goes
    when it is swept.
    """

    def __init__(self, folder: Path, max_bytes: int = MAX_BLOB_BYTES) -> None:
        self._folder, self._max_bytes = folder, max_bytes

    async def put(self, content: bytes) -> str:
        return await trio.to_thread.run_sync(self._put, content)

    async def get(self, digest: str) -> bytes | None:
        if not _DIGEST.fullmatch(digest):
            return None
        return await trio.to_thread.run_sync(self._get, digest)

    async def remove(self, digest: str) -> bool:
        """Whether there was something to remove. What is removed is not kept under its name; durable on return."""
        if not _DIGEST.fullmatch(digest):
            return False
        return await trio.to_thread.run_sync(self._remove, digest)

    def sweep(self) -> None:
        """Remove what writes that were killed left: nobody would forget it. For who alone writes; blocks."""
        for beside in self._folder.glob("??/.*"):
            with suppress(OSError):  # it is there, and not ours to remove; what is served does not depend on it
                if time.time() - beside.stat().st_mtime > ABANDONED:
                    beside.unlink()

    def _remove(self, digest: str) -> bool:
        path = self._path(digest)
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        _sync(path.parent)
        return True

    def _put(self, content: bytes) -> str:
        digest = _digest_within(content, self._max_bytes)
        path = self._path(digest)
        if self._get(digest) is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, content)
        return digest

    def _get(self, digest: str) -> bytes | None:
        """A file that is not what its name says was damaged; it is as good as missing, and put again it is mended."""
        try:
            content = self._path(digest).read_bytes()
        except FileNotFoundError:
            return None
        return content if hashlib.sha256(content).hexdigest() == digest else None

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / digest


def blobs_beside(log: Path) -> FileBlobs:
    """The bytes that the log in this file names: a folder beside it, `<file>-blobs`."""
    return FileBlobs(log.with_name(f"{log.name}-blobs"))


def _digest_within(content: bytes, most: int) -> str:
    if len(content) > most:
        raise BlobTooLarge(f"at most {most} bytes are kept, not {len(content)}")
    return hashlib.sha256(content).hexdigest()


def _write(path: Path, content: bytes) -> None:
    """All of it under its name, or nothing."""
    descriptor, name = tempfile.mkstemp(prefix=".", dir=path.parent)
    beside = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _sync(path.parent)
    _sync(path.parent.parent)


def _sync(folder: Path) -> None:
    """Make the folder's entries durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
