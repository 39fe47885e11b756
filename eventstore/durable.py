"""Files and folders that are there as a whole, also after the power failed: copied, synced, then named."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

PIECE = 1 << 20
"""Bytes copied at one time."""


class Kept(Struct, frozen=True):
    """What a file has in it: how many bytes, and their SHA-256 in hex."""

    bytes: int
    sha256: str


def measure(path: Path) -> Kept:
    """What is in the file. Raises OSError."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Kept(file.tell(), digest)


def copy(source: Path, target: Path, mode: int = 0o644) -> Kept:
    """The file again, synced; what was copied. `mode` is what its owner and the others may do. Raises OSError."""
    digest = hashlib.sha256()
    with source.open("rb") as file, _made(target, mode) as again:
        while piece := file.read(PIECE):
            digest.update(piece)
            again.write(piece)
        again.flush()
        os.fsync(again.fileno())
        return Kept(again.tell(), digest.hexdigest())


def write(path: Path, content: bytes) -> None:
    """All of it under its name, or nothing: what is there meanwhile is `.<name>.partial`. Raises OSError."""
    beside = partial(path)
    with _made(beside, 0o644) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    put(beside, path)


def _made(path: Path, mode: int) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb")


def put(beside: Path, path: Path) -> None:
    """Give a file or folder, synced by now, its name. Raises OSError."""
    beside.replace(path)
    sync(path.parent)


def partial(path: Path) -> Path:
    """Where it is while it is being made."""
    return path.with_name(f".{path.name}.partial")


def sync(path: Path) -> None:
    """Make the file's content durable, or the folder's entries. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Whatever is there, if anything. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
