"""One question to a process of its own, which answers in messages and comes last on the machine (adapters.priority).

The process is a module that is run, and calls `answer`. So what it does shares no interpreter lock with an event loop.
It ends when nobody reads what it says any more.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

import trio

from adapters import priority
from eventstore.scribe import Unframer, framed

AT_ONCE = 256 * 1024
"""Bytes read from the process at one time."""
REAPED_WITHIN = 5.0
"""Seconds for a killed process to be gone."""
KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH")
"""Of the environment; the process needs none of our secrets."""


class Lost(Exception):
    """The process does not answer. The message goes on from "the process that …"."""


class Apart:
    """Entered, it has a process; left, it has none.

    Memory holds a few messages, however fast the process is: it waits until they are taken.
    """

    def __init__(self, module: str, question: bytes) -> None:
        self._module, self._unasked = module, question
        self._process: trio.Process | None = None
        self._unframer, self._messages = Unframer(), deque[bytes]()

    async def __aenter__(self) -> Apart:
        """Raises Lost."""
        command = [sys.executable, "-P", "-m", "adapters.last", self._module, str(priority.NICENESS)]
        environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        try:
            self._process = await trio.lowlevel.open_process(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, env=environment
            )
        except OSError as fault:
            raise Lost(f"cannot be started: {fault}") from fault
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, tb: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        with trio.move_on_after(REAPED_WITHIN, shield=True):
            await process.wait()
            if process.stdio is not None:
                await process.stdio.aclose()

    async def message(self) -> bytes:
        """The next whole message. Raises Lost."""
        if self._process is None or self._process.stdio is None:
            raise Lost("was not started")
        stdio = self._process.stdio
        if self._unasked:
            question, self._unasked = self._unasked, b""
            await _say(stdio.send_stream, question)
        while not self._messages:
            received = await stdio.receive_stream.receive_some(AT_ONCE)
            if not received:
                raise Lost("was lost; ask again")
            self._messages.extend(self._unframer.feed(bytes(received)))
        return self._messages.popleft()


async def _say(pipe: trio.abc.SendStream, question: bytes) -> None:
    with suppress(trio.BrokenResourceError):  # that it is lost is seen where its answer is read
        await pipe.send_all(question)
        await pipe.aclose()


# --- in the process ---------------------------------------------------------------------------------------------

Tell = Callable[[bytes], None]
"""Says a message, at once. Raises BrokenPipeError."""


def answer(answering: Callable[[bytes, Tell], None]) -> None:
    """Answer the one question, from standard input to standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asked says when it is over
    question, out = sys.stdin.buffer.read(), sys.stdout.buffer

    def tell(message: bytes) -> None:
        out.write(framed(message))
        out.flush()

    try:
        answering(question, tell)
    except BrokenPipeError:
        os._exit(1)  # nobody listens; nor is there anybody to flush for
