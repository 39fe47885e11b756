"""The speech worker's process, as long as it lives: started when first asked, killed when an answer is given up."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from typing import Any

import trio

from adapters.gateways.wav import Pcm

Stdio = trio.StapledStream[trio.abc.SendStream, trio.abc.ReceiveStream]

MOST_ANSWER = 1024 * 1024
"""Bytes in a line of the worker's."""
KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH")
"""Of the environment; the worker needs none of our keys."""
REAPED_WITHIN = 5.0
"""Seconds for a killed process to be gone."""


class WorkerLost(Exception):
    """The worker cannot be started, or has ended within a job."""


class SpeechProcess:
    """At most one worker, answering one job at a time. A job given up, be it by a cancellation, costs its life."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = command
        self._process: trio.Process | None = None
        self._received = bytearray()

    @property
    def pid(self) -> int | None:
        """The running worker's."""
        return None if self._process is None else self._process.pid

    async def ask(self, sounds: Sequence[Pcm]) -> dict[str, Any]:
        """The worker's answer: a `transcript` or an `error`. Raises WorkerLost."""
        is_answered = False
        try:
            process, greeting = await self._start()
            if not greeting.get("ready"):
                return greeting
            answer = await self._do(process.stdio, sounds)
            is_answered = True
            return answer
        except (OSError, ValueError, trio.BrokenResourceError, trio.ClosedResourceError) as fault:
            reason = str(fault) or type(fault).__name__
            raise WorkerLost(f"the speech worker cannot be used: {reason}") from fault
        finally:
            if not is_answered:
                await self.kill()

    async def _start(self) -> tuple[trio.Process, dict[str, Any]]:
        """The worker, and what it says of itself; a new one when there is none or the last one has died since."""
        if self._process is not None and self._process.poll() is None:
            return self._process, {"ready": True}
        await self.kill()
        environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        process = self._process = await trio.lowlevel.open_process(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        return process, await self._line(process.stdio)

    async def _do(self, stdio: Stdio | None, sounds: Sequence[Pcm]) -> dict[str, Any]:
        head = [[sound.rate, sound.channels, sound.width, len(sound.frames)] for sound in sounds]
        for part in (json.dumps(head).encode() + b"\n", *(sound.frames for sound in sounds)):
            await _whole(stdio).send_all(part)
        return await self._line(stdio)

    async def _line(self, stdio: Stdio | None) -> dict[str, Any]:
        """The worker's next line. Raises WorkerLost, ValueError."""
        while b"\n" not in self._received:
            piece = await _whole(stdio).receive_some()
            if not piece or len(self._received) > MOST_ANSWER:
                raise WorkerLost("the speech worker ended without an answer")
            self._received += piece
        line, _, self._received = self._received.partition(b"\n")
        answer = json.loads(line)
        if not isinstance(answer, dict):
            raise ValueError("its answer is none")  # noqa: TRY004  # it is what came, not what was passed
        return answer

    async def kill(self) -> None:
        """End the worker, if there is one."""
        process, self._process = self._process, None
        self._received.clear()
        if process is None:
            return
        process.kill()
        with trio.move_on_after(REAPED_WITHIN, shield=True):
            await process.wait()
            await _whole(process.stdio).aclose()


def _whole(stdio: Stdio | None) -> Stdio:
    """Both pipes; they are there, as they were asked for."""
    if stdio is None:
        raise WorkerLost("the speech worker has no pipes")
    return stdio
