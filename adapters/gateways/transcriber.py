"""Who writes down speech without a network: PocketSphinx in a process of its own, and a scripted twin.

Whatever goes wrong is a `TranscriptionFailure` with a reason people understand, and never ends anything else.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio

from adapters.gateways.speech_process import SpeechProcess, WorkerLost
from adapters.gateways.wav import Pcm, read_wav
from core.ports import TranscriptionFailure

WORKER = (sys.executable, "-m", "adapters.gateways.speech_worker")


class SphinxTranscriber:
    """`core.ports.Transcriber`, offline. Opened by `open_sphinx`.

    The worker is started for the first job and stays; it does one job at a time, and `queue` more may wait. A job may
    take `patience` seconds and `pace` more for each second of sound; a worker that takes longer, or is left alone with
    a job, is killed, and the next job starts another. `longest` is the seconds of sound one job may have.
    """

    name = "pocketsphinx"

    def __init__(
        self, command: Sequence[str] = WORKER, *, queue: float = 8, longest: float = 600.0, patience: float = 20.0,
        pace: float = 4.0,
    ) -> None:  # fmt: skip
        self._process = SpeechProcess(command)
        self._turn = trio.Lock()
        self._most, self._longest, self._patience, self._pace = queue + 1, longest, patience, pace
        self._asked = 0

    async def transcribe(self, clips: Sequence[bytes]) -> str:
        """See the port."""
        sounds = [read_wav(clip) for clip in clips]
        seconds = sum(sound.seconds for sound in sounds)
        if seconds > self._longest:
            raise TranscriptionFailure(f"at most {self._longest:g} s of sound are transcribed, not {seconds:.0f}")
        if self._asked >= self._most:
            raise TranscriptionFailure(f"{self._asked} transcriptions are waiting already", 5.0)
        self._asked += 1
        try:
            async with self._turn:
                return await self._recognise(sounds, self._patience + self._pace * seconds)
        finally:
            self._asked -= 1

    async def _recognise(self, sounds: Sequence[Pcm], limit: float) -> str:
        try:
            with trio.fail_after(limit):
                answer = await self._process.ask(sounds)
        except trio.TooSlowError:
            raise TranscriptionFailure(f"the transcription took longer than {limit:g} s") from None
        except WorkerLost as loss:
            raise TranscriptionFailure(str(loss)) from loss
        if "transcript" not in answer:
            raise TranscriptionFailure(str(answer.get("error", "the speech worker made no sense")))
        return str(answer["transcript"])

    async def close(self) -> None:
        await self._process.kill()


@asynccontextmanager
async def open_sphinx(command: Sequence[str] = WORKER, **limits: float) -> AsyncIterator[SphinxTranscriber]:
    """The offline transcriber, whose worker ends with the block; `limits` as it takes them."""
    transcriber = SphinxTranscriber(command, **limits)
    try:
        yield transcriber
    finally:
        await transcriber.close()


def is_sphinx_there() -> bool:
    """Whether the offline engine is installed. Without it every transcription fails, and says so."""
    return importlib.util.find_spec("pocketsphinx") is not None


class ScriptedTranscriber:
    """`core.ports.Transcriber` that says what it was given to say, in this order, the last for ever; for tests.

    `asked` has the clips of every job.
    """

    name = "scripted"

    def __init__(self, *answers: str | TranscriptionFailure) -> None:
        self._answers = answers or ("hello",)
        self.asked: list[tuple[bytes, ...]] = []

    async def transcribe(self, clips: Sequence[bytes]) -> str:
        """See the port."""
        await trio.lowlevel.checkpoint()
        self.asked.append(tuple(clips))
        answer = self._answers[min(len(self.asked), len(self._answers)) - 1]
        if isinstance(answer, TranscriptionFailure):
            raise answer
        return answer
