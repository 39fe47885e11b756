"""The scene of the spoken recording, on a real server without a usable engine; with one it is in the whole demo."""

from __future__ import annotations

import importlib.util
import io
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace
from rich.console import Console

from adapters.demo import DemoFailed
from adapters.demo.scenes import speech
from adapters.demo.server import Server
from adapters.demo.stage import Stage
from adapters.gateways.wav import SPEECH_RATE, read_wav
from adapters.opening import open_history
from adapters.setting_values import StoreAddress
from core.session import MediaReceived, TranscriptionFailed


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    """Its workers find a package of that name which cannot be used."""
    await trio.Path(tmp_path / "pocketsphinx.py").write_text("raise ImportError('no engine here')")
    server = Server(tmp_path / "log.db", {"PYTHONPATH": str(tmp_path)})
    await server.start()
    yield server
    await server.stop()


def silent() -> tuple[Stage, io.StringIO]:
    told = io.StringIO()
    return Stage(Console(file=told, width=200)), told


async def test_without_an_engine_the_scene_says_so_in_one_line_and_goes_on(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    stage, told = silent()
    trace = await speech.play(stage, server)
    assert "PocketSphinx is not installed here: pip install 'callboard[speech]'" in told.getvalue()
    await server.kill()
    async with open_history(StoreAddress(tmp_path / "log.db")) as store:
        records = await store.read_stream(trace.stream)
    assert trace.holds(records)
    for kind in (MediaReceived, TranscriptionFailed):  # every event that anybody was shown counts
        (at, *_) = [number for number, record in enumerate(records) if isinstance(record.event, kind)]
        assert not trace.holds([*records[:at], *records[at + 1 :]])
        altered = replace(records[at], stamp=replace(records[at].stamp, time=1))
        assert not trace.holds([*records[:at], altered, *records[at + 1 :]])


async def test_an_engine_that_is_there_and_fails_ends_the_demo(server: Server) -> None:
    failed = pytest.RaisesExc(DemoFailed, match="no engine here")
    with pytest.RaisesGroup(failed, flatten_subgroups=True):
        await speech.play(silent()[0], server)


def test_the_recording_is_short_plain_and_part_of_the_package() -> None:
    clip = speech.recording()
    sound = read_wav(clip)
    assert (sound.rate, sound.channels, sound.width) == (SPEECH_RATE, 1, 2)
    assert len(clip) <= 100_000
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert "*.wav" in project["tool"]["setuptools"]["package-data"]["adapters.demo"]
