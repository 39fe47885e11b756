"""Spoken words, made by flite; a machine without it skips what needs them (in CI a skip is a failure)."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest
import trio

REASON = "flite speaks, and pocketsphinx listens: apt-get install flite; pip install 'callboard[speech]'"


def require_speech() -> None:
    if shutil.which("flite") is None or importlib.util.find_spec("pocketsphinx") is None:
        pytest.skip(REASON)


async def spoken(words: str, folder: Path) -> bytes:
    """A WAV file of somebody saying the words."""
    require_speech()
    path = trio.Path(folder / "spoken.wav")
    await trio.run_process(["flite", "-voice", "slt", "-t", words, "-o", str(path)])
    return await path.read_bytes()
