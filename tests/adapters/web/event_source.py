"""A browser's EventSource as far as it matters here: the parser of the specification, and coming back with the last id.

https://html.spec.whatwg.org/multipage/server-sent-events.html, "Interpreting an event stream".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec


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
                self.last_id = value
            case "retry":
                self.retry = int(value)

    def _dispatch(self) -> Iterator[Message]:
        name, lines, self._name, self._lines = self._name, self._lines, "", []
        if lines:
            yield Message(name or "message", "\n".join(lines), self.last_id)


@dataclass
class EventSource:
    """Follows one URL; every `connected` after the first resumes where the last one ended."""

    http: httpx.AsyncClient
    url: str
    parser: Parser = field(default_factory=Parser)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[AsyncIterator[Message]]:
        headers = {"Last-Event-ID": self.parser.last_id} if self.parser.last_id else {}
        self.parser = Parser(self.parser.last_id)
        async with self.http.stream("GET", self.url, headers=headers) as answer:
            assert answer.status_code == 200, await answer.aread()
            messages = self._messages(answer)
            try:
                yield messages
            finally:
                await messages.aclose()

    async def _messages(self, answer: httpx.Response) -> Any:
        async for chunk in answer.aiter_raw():
            for message in self.parser.feed(chunk):
                yield message
