"""A browser's EventSource as far as it matters here: the parser of the specification, and coming back with the last id.

https://html.spec.whatwg.org/multipage/server-sent-events.html, "Interpreting an event stream".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import h11
import msgspec
import trio


@dataclass
class Message:
    """One dispatched event."""

    event: str
    data: str
    id: str

    @property
    def content(self) -> Any:
        return msgspec.json.decode(self.data)


@dataclass
class Parser:
    """Bytes in, events out. Knows only line feeds as ends of lines, which is all our server writes."""

    last_id: str = ""
    retry: int | None = None
    comments: list[str] = field(default_factory=list)
    _rest: bytes = b""
    _name: str = ""
    _lines: list[str] = field(default_factory=list)
    _id: str = ""

    def __post_init__(self) -> None:
        self._id = self.last_id

    def feed(self, chunk: bytes) -> Iterator[Message]:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            if not line:
                yield from self._dispatch()
            else:
                self._take(line.decode())

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "":
                self.comments.append(value)
            case "event":
                self._name = value
            case "data":
                self._lines.append(value)
            case "id":
                self._id = value
            case "retry":
                self.retry = int(value)
            case _:
                pass

    def _dispatch(self) -> Iterator[Message]:
        """The id counts from here on only: what a broken connection cut off must be sent again."""
        name, lines, self._name, self._lines = self._name, self._lines, "", []
        self.last_id = self._id
        if lines:
            yield Message(name or "message", "\n".join(lines), self.last_id)


class Messages:
    """The events of one answer as they come; ends when the answer does, as it should: h11 raises for one cut off."""

    def __init__(self, stream: trio.SocketStream, parser: Parser) -> None:
        self._stream, self._wire, self._parser = stream, h11.Connection(h11.CLIENT), parser
        self._parsed: Iterator[Message] = iter(())

    async def ask(self, target: str, headers: list[tuple[str, str]]) -> h11.Response:
        request = h11.Request(method="GET", target=target, headers=headers)
        await self._stream.send_all(self._wire.send(request) + self._wire.send(h11.EndOfMessage()))
        answer = await self._next()
        assert isinstance(answer, h11.Response)
        return answer

    async def _next(self) -> Any:
        while (event := self._wire.next_event()) is h11.NEED_DATA:
            self._wire.receive_data(await self._stream.receive_some())
        return event

    def __aiter__(self) -> Messages:
        return self

    async def __anext__(self) -> Message:
        """Only a message that was taken has moved the last id on."""
        while (message := next(self._parsed, None)) is None:
            event = await self._next()
            if isinstance(event, h11.EndOfMessage):
                raise StopAsyncIteration
            self._parsed = self._parser.feed(event.data)
        return message


@dataclass
class EventSource:
    """Follows one path of the server at `url`; every `connected` after the first resumes where the last one ended."""

    url: str
    path: str
    parser: Parser = field(default_factory=Parser)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Messages]:
        """On a socket of its own: an HTTP library would leave its generators unfinished, and read on by itself."""
        target = urlsplit(self.url)
        self.parser = Parser(self.parser.last_id)
        headers = [("Host", target.netloc)]
        if self.parser.last_id:
            headers.append(("Last-Event-ID", self.parser.last_id))
        async with await trio.open_tcp_stream(target.hostname or "", target.port or 0) as stream:
            messages = Messages(stream, self.parser)
            answer = await messages.ask(self.path, headers)
            assert answer.status_code == 200
            yield messages
