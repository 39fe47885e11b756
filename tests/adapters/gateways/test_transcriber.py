from __future__ import annotations

import io
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from adapters.gateways.speech_worker import work
from adapters.gateways.transcriber import ScriptedTranscriber, SphinxTranscriber, is_sphinx_there, open_sphinx
from adapters.gateways.wav import Pcm, read_wav, speech_of, write_wav
from core.ports import TranscriptionFailure
from tests.adapters.gateways.speech import require_speech, spoken
from tests.adapters.latency import assert_answered_within, ping_until

CLIP = write_wav(Pcm(16_000, 1, 2, b"\1\0" * 160))
PATIENCE = 120.0

ECHO = """
import json, sys
def say(**answer): print(json.dumps(answer), flush=True)
say(ready=True)
while line := sys.stdin.buffer.readline():
    sizes = [clip[3] for clip in json.loads(line)]
    bodies = [sys.stdin.buffer.read(size) for size in sizes]
    {job}
"""


def worker(job: str) -> tuple[str, ...]:
    """A worker in place of the real one; `job` is what it does with the `bodies` of a job."""
    return sys.executable, "-c", ECHO.format(job=job)


async def failure_of(transcriber: SphinxTranscriber, clip: bytes = CLIP) -> TranscriptionFailure:
    with trio.fail_after(PATIENCE), pytest.raises(TranscriptionFailure) as failure:
        await transcriber.transcribe([clip])
    return failure.value


async def pid_of(transcriber: SphinxTranscriber) -> int:
    return int(await transcriber.transcribe([CLIP]))


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


PID = worker("import os; say(transcript=str(os.getpid()))")


# --- the real engine ---


async def test_spoken_words_are_written_down_and_nobody_waits_for_it(tmp_path: Path) -> None:
    """The event loop's own latency is what a ping of any other connection sees at least.

    Twice, as the first time the engine is started, and the second all of the time is recognition.
    """
    clip = await spoken("the quick brown fox jumps over the lazy dog", tmp_path)
    async with open_sphinx() as transcriber:
        for _ in range(2):
            is_over, latencies, began = trio.Event(), list[float](), trio.current_time()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ping_until, is_over.is_set, trio.lowlevel.checkpoint, latencies)
                with trio.fail_after(PATIENCE):
                    heard = await transcriber.transcribe([clip])
                is_over.set()
            assert {"quick", "brown", "fox", "lazy", "dog"} <= set(heard.split())
            assert_answered_within(0.05, latencies, standstill=(trio.current_time() - began) / 2)


async def test_the_engine_is_started_once_and_clips_are_heard_one_after_the_other(tmp_path: Path) -> None:
    clip = await spoken("go forward ten meters", tmp_path)
    sound = read_wav(clip)
    half = len(sound.frames) // 4 * 2
    parts = [write_wav(Pcm(sound.rate, 1, 2, frames)) for frames in (sound.frames[:half], sound.frames[half:])]
    async with open_sphinx() as transcriber:
        with trio.fail_after(PATIENCE):
            whole = await transcriber.transcribe([clip])
            again = await transcriber.transcribe(parts)
    assert "go forward ten" in whole
    assert again == whole


async def test_long_silence_is_no_words_and_no_crash() -> None:
    require_speech()
    silence = write_wav(Pcm(8000, 1, 1, b"\x80" * 8000 * 31))
    async with open_sphinx() as transcriber:
        with trio.fail_after(PATIENCE):
            assert await transcriber.transcribe([silence]) == ""


# --- its process ---


async def test_what_is_no_wav_is_refused_without_an_engine() -> None:
    async with open_sphinx(("/no/such/worker",)) as transcriber:
        assert "MP3" in (await failure_of(transcriber, b"ID3" + bytes(40))).reason


async def test_an_engine_that_is_not_there_is_said_and_tried_again() -> None:
    async with open_sphinx(("/no/such/worker",)) as transcriber:
        for _ in range(2):
            assert "cannot be used" in (await failure_of(transcriber)).reason


async def test_a_missing_package_is_named() -> None:
    blocked = "import sys; sys.modules['pocketsphinx'] = None; from adapters.gateways.speech_worker import main; main()"
    async with open_sphinx((sys.executable, "-c", blocked)) as transcriber:
        assert "PocketSphinx cannot be used here" in (await failure_of(transcriber)).reason


def test_it_is_known_beforehand_whether_the_engine_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not is_sphinx_there()


@pytest.mark.parametrize(
    ("job", "named"),
    [
        ("sys.exit()", "ended without an answer"),
        ("print('hello', flush=True)", "cannot be used"),
        ("print('[]', flush=True)", "its answer is none"),
        ("say(error='too much noise')", "too much noise"),
        ("say()", "made no sense"),
    ],
)
async def test_a_worker_that_fails_is_replaced(job: str, named: str) -> None:
    script = worker(f"import os\n    if len(bodies[0]) > 400: {job}\n    else: say(transcript=str(os.getpid()))")
    bad = write_wav(Pcm(16_000, 1, 2, b"\1\0" * 300))
    async with open_sphinx(script) as transcriber:
        assert named in (await failure_of(transcriber, bad)).reason
        assert await pid_of(transcriber) > 0


async def test_a_worker_that_died_between_two_jobs_is_not_noticed() -> None:
    async with open_sphinx(PID) as transcriber:
        pid = await pid_of(transcriber)
        os.kill(pid, signal.SIGKILL)
        await trio.to_thread.run_sync(os.waitid, os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert await pid_of(transcriber) != pid


async def test_a_job_that_takes_too_long_costs_its_worker() -> None:
    script = worker(
        "import os, time\n    time.sleep(3600) if len(bodies[0]) > 400 else say(transcript=str(os.getpid()))"
    )
    slow = write_wav(Pcm(16_000, 1, 2, b"\1\0" * 300))
    async with open_sphinx(script, patience=0.5, pace=0.0) as transcriber:
        pid = await pid_of(transcriber)
        assert "longer than 0.5 s" in (await failure_of(transcriber, slow)).reason
        assert not is_alive(pid)
        assert await pid_of(transcriber) != pid


async def test_who_gives_up_waiting_takes_the_worker_along_and_not_the_next_job() -> None:
    script = worker(
        "import os, time\n    time.sleep(3600) if len(bodies[0]) > 400 else say(transcript=str(os.getpid()))"
    )
    slow = write_wav(Pcm(16_000, 1, 2, b"\1\0" * 300))
    async with open_sphinx(script) as transcriber:
        pid = await pid_of(transcriber)
        with trio.move_on_after(0.01):
            await transcriber.transcribe([slow])
        assert not is_alive(pid)
        assert await pid_of(transcriber) != pid


async def test_only_so_many_wait() -> None:
    async with open_sphinx(worker("pass"), queue=2) as transcriber, trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(transcriber.transcribe, [CLIP])
        await trio.testing.wait_all_tasks_blocked()
        failure = await failure_of(transcriber)
        assert "3 transcriptions are waiting" in failure.reason
        assert failure.retry_after == 5.0
        nursery.cancel_scope.cancel()


async def test_sound_without_end_is_not_begun() -> None:
    async with open_sphinx(("/no/such/worker",), longest=1.0) as transcriber:
        reason = (await failure_of(transcriber, write_wav(Pcm(1000, 1, 1, bytes(2000))))).reason
    assert reason == "at most 1 s of sound are transcribed, not 2"


async def test_the_worker_ends_with_its_owner_and_knows_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    script = worker("import os; say(transcript=f\"{os.getpid()} {'OPENAI_API_KEY' in os.environ}\")")
    async with open_sphinx(script) as transcriber:
        pid, knows = (await transcriber.transcribe([CLIP])).split()
    assert knows == "False"
    assert not is_alive(int(pid))


# --- the worker by itself ---


def answers_to(jobs: bytes, begin: Callable[[], Callable[[bytes], str]]) -> list[dict[str, object]]:
    output = io.BytesIO()
    work(io.BytesIO(jobs), output, begin)
    return [json.loads(line) for line in output.getvalue().splitlines()]


def test_the_worker_answers_each_job_and_a_bad_one_is_not_the_last() -> None:
    sounds = [Pcm(16_000, 1, 2, b"\1\0" * n) for n in (3, 4)]
    head = json.dumps([[sound.rate, sound.channels, sound.width, len(sound.frames)] for sound in sounds]).encode()
    job = head + b"\n" + b"".join(sound.frames for sound in sounds)
    heard: list[bytes] = []

    def recognise(speech: bytes) -> str:
        heard.append(speech)
        if len(heard) == 1:
            raise RuntimeError("overflow")
        return "words"

    first, second, third = answers_to(job + job, lambda: recognise)
    assert first == {"ready": True}
    assert second == {"error": "the audio cannot be recognised: overflow"}
    assert third == {"transcript": "words"}
    assert heard[1] == b"".join(map(speech_of, sounds))


# --- the twin ---


async def test_the_twin_says_what_it_was_given_and_knows_what_it_was_asked() -> None:
    twin = ScriptedTranscriber("one", TranscriptionFailure("no"), "three")
    assert await twin.transcribe([b"a", b"b"]) == "one"
    with pytest.raises(TranscriptionFailure):
        await twin.transcribe([b"c"])
    assert [await twin.transcribe([]), await twin.transcribe([])] == ["three", "three"]
    assert twin.asked[:2] == [(b"a", b"b"), (b"c",)]
