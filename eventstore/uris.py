"""How SQLite is told of a file: for writing, or for reading where nothing may be written."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit


def uri(path: Path, mode: str) -> str:
    """The file as SQLite wants it named, whatever characters its path has. Mode "ro" or "rwc"."""
    return f"{path.absolute().as_uri()}?mode={mode}"


def reading_uri(path: Path) -> str:
    """For a reader SQLite puts an index beside the file; where it may not, it must be told that nobody writes to it."""
    return uri(path, "ro") if is_folder_writable(path) or has_tail(path) else f"{uri(path, 'ro')}&immutable=1"


def path_in(uri: str) -> Path:
    """The file that such a URI is for."""
    return Path(unquote(urlsplit(uri).path))


def is_folder_writable(path: Path) -> bool:
    return os.access(path.resolve().parent, os.W_OK)


def has_tail(path: Path) -> bool:
    """Whether events are in the write-ahead log that are not in the file: it is open, or was not closed cleanly."""
    tail = path.resolve().with_name(f"{path.resolve().name}-wal")
    return tail.exists() and tail.stat().st_size > 0
