"""An answer that a process of its own makes while it is sent."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Self

from quart import Response
from quart.wrappers.response import ResponseBody


class MadeApart(ResponseBody):
    """Its process lives while it is entered. Quart enters it, iterates it and leaves it in one task."""

    def __init__(self, process: AbstractAsyncContextManager[object]) -> None:
        self._process, self._stack = process, AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.callback(self.leave)
            await stack.enter_async_context(self._process)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(exc_type, exc_value, tb)

    def __aiter__(self) -> Self:
        return self

    @abstractmethod
    def leave(self) -> None:
        """It is over, or could not be begun."""

    @abstractmethod
    async def __anext__(self) -> bytes:
        """The next bytes. What else is raised than StopAsyncIteration cuts the answer off."""


def streamed(body: MadeApart | bytes, kind: str) -> Response:
    """The answer, for as long as it takes, and for nobody to keep."""
    response = Response(body, content_type=kind)
    response.headers["Cache-Control"] = "no-store"
    response.timeout = None
    return response
