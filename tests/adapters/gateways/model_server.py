"""A language-model server in a few lines: HTTP/1.1 and server-sent events over real sockets, doing what it is told."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

import msgspec
import trio

Move = bytes | float
"""What the server does next in an answer: send these bytes, or wait so many seconds. At the end it closes."""


class ModelServer:
    """Answers the n-th request with the n-th of `answers`, the last one for all that follow."""

    def __init__(self, *answers: Sequence[Move]) -> None:
        self.answers = answers
        self.requests: list[bytes] = []
        self.port = 0
        self.open_connections = 0
        self.was_left = trio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def bodies(self) -> list[dict[str, object]]:
        return [msgspec.json.decode(request.partition(b"\r\n\r\n")[2]) for request in self.requests]

    async def serve(self, stream: trio.SocketStream) -> None:
        self.open_connections += 1
        try:
            async with stream:
                self.requests.append(await read_request(stream))
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._watch, stream, nursery.cancel_scope)
                    await self._play(stream, self.answers[min(len(self.requests), len(self.answers)) - 1])
                    nursery.cancel_scope.cancel()
        finally:
            self.open_connections -= 1
            self.was_left.set()

    async def _play(self, stream: trio.SocketStream, moves: Sequence[Move]) -> None:
        for move in moves:
            match move:
                case bytes():
                    await stream.send_all(move)
                case _:
                    await trio.sleep(move)

    async def _watch(self, stream: trio.SocketStream, scope: trio.CancelScope) -> None:
        try:
            await stream.receive_some()
        except trio.BrokenResourceError:
            pass  # the client went away without a word, which is as good as a close
        scope.cancel()


async def read_request(stream: trio.SocketStream) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request:
        request += await stream.receive_some()
    head, _, body = request.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < length:
        body += await stream.receive_some()
    return head + b"\r\n\r\n" + body


def serving(*answers: Sequence[Move]) -> AbstractAsyncContextManager[ModelServer]:
    return run(ModelServer(*answers))


S = TypeVar("S", bound=ModelServer)


@asynccontextmanager
async def run(server: S) -> AsyncIterator[S]:
    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        server.port = listener.socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, server.serve, [listener])
        yield server
        nursery.cancel_scope.cancel()


FOREVER = math.inf
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def piece(text: str | None, finish_reason: str | None = None) -> bytes:
    """One chunk of a streamed chat completion."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}
    return (
        b"data: " + msgspec.json.encode({"id": "c", "object": "chat.completion.chunk", "choices": [choice]}) + b"\n\n"
    )


def chunk(delta: dict[str, object], finish_reason: str | None = None) -> bytes:
    """One chunk of a streamed chat completion, whatever is in it."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return b"data: " + msgspec.json.encode({"object": "chat.completion.chunk", "choices": [choice]}) + b"\n\n"


def call_part(index: int, arguments: str = "", *, id: str | None = None, name: str | None = None) -> bytes:
    """A part of a tool call as it is streamed: the first has its id and name, all bring on the arguments."""
    function = {"arguments": arguments} | ({} if name is None else {"name": name})
    part = {"index": index, "function": function} | ({} if id is None else {"id": id, "type": "function"})
    return chunk({"tool_calls": [part]})


def refusal(status: str, *headers: str, body: bytes = b'{"error":{"message":"no","code":null}}') -> bytes:
    """A whole answer that is no stream."""
    lines = [f"HTTP/1.1 {status}", "content-type: application/json", f"content-length: {len(body)}", *headers]
    return "\r\n".join([*lines, "connection: close", "", ""]).encode() + body
