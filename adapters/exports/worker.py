"""The process that exports, so that reading and writing share no interpreter lock with an event loop, and come last.

Its input is a Question as MessagePack; its output is framed messages: the file's pieces, then its manifest, or why
there is none. It ends when nobody reads its output any more.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import trio
from msgspec import Struct, msgpack

from adapters.config import BadSetting
from adapters.encryption import master_key
from adapters.exports.formats import NotExported
from adapters.exports.manifest import Manifest
from adapters.exports.writing import Export, Question
from adapters.priority import come_last
from core.ports import StoreUnavailable
from eventstore.audit import AuditLog
from eventstore.codec import Undecodable
from eventstore.scribe import framed
from eventstore.unlocking import opener_of

PIECE = 256 * 1024
"""Bytes of a message at most."""


class Piece(Struct, frozen=True, tag=True):
    """The next bytes of the file. `position` is how far the log has been read."""

    position: int
    content: bytes


class Done(Struct, frozen=True, tag=True):
    manifest: Manifest


class Failed(Struct, frozen=True, tag=True):
    reason: str


Message = Piece | Done | Failed
_encode = msgpack.Encoder().encode


def main() -> None:
    """Answer the one question; the argument is this process's niceness."""
    come_last(int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asked says when it is over
    question, out = msgpack.decode(sys.stdin.buffer.read(), type=Question), sys.stdout.buffer
    try:
        trio.run(answer, question, out)
    except BrokenPipeError:
        os._exit(1)  # nobody listens; nor is there anybody to flush for


async def answer(question: Question, out: BinaryIO) -> None:
    """Write all messages, each as soon as it is there."""
    try:
        path, key_file = Path(question.path), question.key_file
        log = AuditLog(path, opener_of(path, None if key_file is None else master_key(Path(key_file))))
        export = Export(log, question)
        async for content in export.pieces():
            for start in range(0, len(content), PIECE):
                _tell(out, Piece(export.position, content[start : start + PIECE]))
        log.close()
        if export.manifest is not None:
            _tell(out, Done(export.manifest))
    except (NotExported, StoreUnavailable, Undecodable, BadSetting) as fault:
        with suppress(BrokenPipeError):
            _tell(out, Failed(str(fault)))


def _tell(out: BinaryIO, message: Message) -> None:
    out.write(framed(_encode(message)))
    out.flush()


if __name__ == "__main__":
    main()
