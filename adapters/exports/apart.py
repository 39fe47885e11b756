"""An export by a process of its own, seen from the process that wants it."""

from __future__ import annotations

from types import TracebackType
from typing import assert_never

from msgspec import msgpack

from adapters.apart import Apart, Lost
from adapters.exports.formats import NotExported
from adapters.exports.manifest import Manifest
from adapters.exports.worker import Done, Failed, Message, Piece
from adapters.exports.writing import Question

WORKER = "adapters.exports.worker"

_to_message = msgpack.Decoder(Message).decode


class ExportApart:
    """Entered, it has a process; left, it has none. Iterating it gives the pieces, and then there is a manifest."""

    def __init__(self, question: Question) -> None:
        self._apart = Apart(WORKER, msgpack.encode(question))
        self._manifest: Manifest | None = None

    @property
    def told(self) -> Manifest:
        """The manifest, behind the last piece. Raises NotExported before that."""
        if self._manifest is None:
            raise NotExported("the export has not come to its end")
        return self._manifest

    async def __aenter__(self) -> ExportApart:
        """Raises NotExported."""
        try:
            await self._apart.__aenter__()
        except Lost as fault:
            raise _not_exported(fault) from fault
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._apart.__aexit__(exc_type, exc_value, tb)

    def __aiter__(self) -> ExportApart:
        return self

    async def __anext__(self) -> Piece:
        """Raises NotExported."""
        try:
            message: Message = _to_message(await self._apart.message())
        except Lost as fault:
            raise _not_exported(fault) from fault
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


def _not_exported(fault: Lost) -> NotExported:
    return NotExported(f"the process that exports {fault}")
