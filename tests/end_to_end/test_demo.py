"""The main job, as a user sees it."""

from __future__ import annotations

import sys

import trio


async def test_the_demo_tells_its_story_and_ends_well() -> None:
    command = [sys.executable, "-m", "adapters.cli", "demo", "--pace", "0"]
    ended = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
    told = ended.stdout.decode()
    assert ended.returncode == 0, ended.stderr.decode()
    for promise in (
        "error invalid_json",
        "the laptop heard nothing",
        "asked once, answered once",
        "the phone got",
        "the laptop got",
        "no gap, no repeat",
        "begins to answer again, from the start",
        "refused (illegal_transition)",
        "The chain holds",
    ):
        assert promise in told
