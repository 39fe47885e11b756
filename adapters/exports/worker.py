"""The process that exports (adapters/apart.py): it is asked a Question, and says the file's pieces, then its manifest,
or why there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import trio
from msgspec import Struct, msgpack

from adapters import apart
from adapters.config import BadSetting
from adapters.encryption import master_key
from adapters.exports.formats import NotExported
from adapters.exports.manifest import Manifest
from adapters.exports.writing import Export, Question
from core.ports import StoreUnavailable
from eventstore.audit import AuditLog
from eventstore.codec import Undecodable
from eventstore.turns import take_turns
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


def answer(question: bytes, tell: apart.Tell) -> None:
    """Say all messages, each as soon as it is there."""
    asked = msgpack.decode(question, type=Question)
    take_turns(Path(asked.path))
    trio.run(_export, asked, lambda message: tell(_encode(message)))


async def _export(question: Question, tell: Callable[[Message], None]) -> None:
    try:
        path, key_file = Path(question.path), question.key_file
        log = AuditLog(path, opener_of(path, None if key_file is None else master_key(Path(key_file))))
        export = Export(log, question)
        gathered = bytearray()
        async for content in export.pieces():
            gathered += content
            while len(gathered) >= PIECE:
                tell(Piece(export.position, bytes(gathered[:PIECE])))
                del gathered[:PIECE]
        if gathered:
            tell(Piece(export.position, bytes(gathered)))
        log.close()
        if export.manifest is not None:
            tell(Done(export.manifest))
    except (NotExported, StoreUnavailable, Undecodable, BadSetting) as fault:
        tell(Failed(str(fault)))


if __name__ == "__main__":
    apart.answer(answer)
