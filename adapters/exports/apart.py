"""An export by a process of its own, seen from the process that wants it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from contextlib import suppress
from types import TracebackType
from typing import assert_never

import trio
from msgspec import msgpack

from adapters import priority
from adapters.exports.formats import NotExported
from adapters.exports.manifest import Manifest
from adapters.exports.worker import Done, Failed, Message, Piece
from adapters.exports.writing import Question
from eventstore.scribe import Unframer

AT_ONCE = 256 * 1024
"""Bytes read from the process at one time."""
REAPED_WITHIN = 5.0
"""Seconds for a killed process to be gone."""
KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH")
"""Of the environment; the process needs none of our secrets."""

_to_message = msgpack.Decoder(Message).decode


class ExportApart:
    """Entered, it has a process; left, it has none. Iterating it gives the pieces, and then there is a manifest.

    Memory holds a few pieces, however fast the process is: it waits until they are taken.
    """

    def __init__(self, question: Question) -> None:
        self._unasked = msgpack.encode(question)
        self._process: trio.Process | None = None
        self._unframer, self._messages = Unframer(), deque[bytes]()
        self._manifest: Manifest | None = None

    @property
    def told(self) -> Manifest:
        """The manifest, behind the last piece. Raises NotExported before that."""
        if self._manifest is None:
            raise NotExported("the export has not come to its end")
        return self._manifest

    async def __aenter__(self) -> ExportApart:
        """Raises NotExported."""
        command = [sys.executable, "-P", "-m", "adapters.exports.worker", str(priority.NICENESS)]
        environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        try:
            self._process = await trio.lowlevel.open_process(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, env=environment
            )
        except OSError as fault:
            raise NotExported(f"the process that exports cannot be started: {fault}") from fault
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

    def __aiter__(self) -> ExportApart:
        return self

    async def __anext__(self) -> Piece:
        """Raises NotExported."""
        message: Message = _to_message(await self._next())
        match message:
            case Piece():
                return message
            case Done(manifest):
                self._manifest = manifest
                raise StopAsyncIteration
            case Failed(reason):
                raise NotExported(reason)
            case _:
                assert_never(message)

    async def _next(self) -> bytes:
        """The next whole message."""
        if self._process is None or self._process.stdio is None:
            raise NotExported("the process that exports was not started")
        stdio = self._process.stdio
        if self._unasked:
            question, self._unasked = self._unasked, b""
            await _say(stdio.send_stream, question)
        while not self._messages:
            received = await stdio.receive_stream.receive_some(AT_ONCE)
            if not received:
                raise NotExported("the process that exports was lost; ask again")
            self._messages.extend(self._unframer.feed(bytes(received)))
        return self._messages.popleft()


async def _say(pipe: trio.abc.SendStream, question: bytes) -> None:
    with suppress(trio.BrokenResourceError):  # that it is lost is seen where its answer is read
        await pipe.send_all(question)
        await pipe.aclose()
