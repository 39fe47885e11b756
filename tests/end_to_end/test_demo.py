"""The main job, as a user sees it."""

from __future__ import annotations

import os
import re
import sys
from subprocess import CompletedProcess

import trio

from tests.adapters.latency import IS_STRICT


async def demo(**environment: str) -> CompletedProcess[bytes]:
    command = [sys.executable, "-m", "adapters.cli", "demo", "--pace", "0"]
    return await trio.run_process(
        command, capture_stdout=True, capture_stderr=True, check=False, env={**os.environ, **environment}
    )


async def test_the_demo_tells_its_story_and_ends_well() -> None:
    ended = await demo()
    told = ended.stdout.decode()
    assert ended.returncode == 0, ended.stderr.decode()
    for promise in (
        "error invalid_json",
        "the laptop heard nothing",
        "both hear  The weather in Paris now: ",
        "phone and laptop heard the same ",
        "laptop hears label_created  1Z",
        ".pdf: a PDF of ",
        "both hear  “we will sail on sunday if the wind is good”",
        "words right, in ",
        'agent uses  get_weather {"location":"Oslo"}',
        "caller hears  The weather in Oslo now: ",
        "once the server had the newer question, not one frame of answer 1 came",
        "asked once, answered once",
        "the phone got",
        "the laptop got",
        "no gap, no repeat",
        "begins to answer again, from the start",
        "refused (illegal_transition)",
        "events, and every frame that both heard is in it",
        "events, one label, made once",
        "session-demo-speech: ",
        "events, the audio named by its SHA-256, and every frame that both heard is in it",
        "call-demo: ",
        "events, answer 1 is superseded by 2",
        "The chain holds",
    ):
        assert promise in told
    (slowest,) = re.findall(r"pings: all answered, the slowest in ([\d.]+) ms", told)
    assert not IS_STRICT or float(slowest) < 50


async def test_a_demo_that_cannot_keep_a_promise_says_so_in_one_line_and_fails() -> None:
    ended = await demo(CALLBOARD_MAX_CONNECTIONS="2")  # phone and laptop; the channel's subscribers find no room
    assert ended.returncode == 1
    (complaint,) = ended.stderr.decode().splitlines()
    assert complaint.startswith("callboard: ")
    assert "1013" in complaint
