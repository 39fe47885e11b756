"""The logs of past releases, with what lies beside each: `tests/golden_maker.py` makes one."""

from __future__ import annotations

import gzip
from pathlib import Path

from eventstore.archives import ARCHIVE, archives_beside

ENDING = ".db.gz"
GOLDEN = sorted((Path(__file__).parent / "golden_logs").glob(f"*{ENDING}"))
"""Logs as releases wrote them. None of them ever changes."""


def unpacked(golden: Path, folder: Path) -> Path:
    """A kept log, with its archives, as a log in this folder."""
    path = folder / "log.db"
    path.write_bytes(gzip.decompress(golden.read_bytes()))
    kept = golden.name.removesuffix(ENDING)
    for archive in archives_beside(golden.with_name(kept)):
        path.with_name(path.name + archive.name.removeprefix(kept)).write_bytes(archive.read_bytes())
    return path


def keep(path: Path, golden: Path) -> None:
    """Put a log that nobody holds, and its archives, where `unpacked` finds them."""
    golden.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    kept = golden.name.removesuffix(ENDING)
    for archive in archives_beside(path):
        number = archive.name.removeprefix(f"{path.name}{ARCHIVE}")
        golden.with_name(f"{kept}{ARCHIVE}{number}").write_bytes(archive.read_bytes())
