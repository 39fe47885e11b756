"""A voice platform's side of a call, by a script: it asks, interrupts, pings, reconnects, and keeps the transcript.

As the platform does, it sends the whole transcript every time, with of each answer what was heard of it until then.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio
from msgspec import json
from trio_websocket import ConnectionClosed, WebSocketConnection

from adapters.clients.wire import open_wire

PATIENCE = 20.0
"""Seconds for anything the caller waits for."""


@dataclass
class Talk:
    """What the platform knows of a call, over all of its sockets. `newest` is the last response id it asked for."""

    call_id: str
    transcript: list[dict[str, str]] = field(default_factory=list)
    newest: int = 0
    _speaking: int | None = None

    def hear(self, frame: dict[str, Any]) -> None:
        """The agent speaks; a piece of the same answer goes on with the utterance."""
        if frame["response_id"] == self._speaking:
            self.transcript[-1] = {"role": "agent", "content": self.transcript[-1]["content"] + frame["content"]}
        else:
            self.transcript.append({"role": "agent", "content": frame["content"]})
        self._speaking = None if frame["content_complete"] else frame["response_id"]

    def say(self, text: str) -> None:
        """The caller speaks, and who spoke before is cut off."""
        self.transcript.append({"role": "user", "content": text})
        self._speaking = None

    def ask(self) -> int:
        self.newest, self._speaking = self.newest + 1, None
        return self.newest


class Caller:
    """One socket of a call. `frames` are all that came, `stale` those of answers that were superseded before.

    `code` is the close code, once it is closed. Whatever is waited for raises trio.TooSlowError when it does not come.
    """

    def __init__(self, wire: WebSocketConnection, talk: Talk) -> None:
        self.talk, self.frames, self.stale = talk, list[dict[str, Any]](), list[dict[str, Any]]()
        self.code: int | None = None
        self._wire, self._came, self._pings = wire, trio.Event(), 0

    async def listen(self) -> None:
        """Take in what comes, until the socket is closed."""
        try:
            while True:
                self._take(json.decode(await self._wire.get_message()))
        except ConnectionClosed as closed:
            self.code = 1006 if closed.reason is None else closed.reason.code
            self._tell()

    # --- what the platform sends ---

    async def describe(self, **details: Any) -> None:
        await self._send("call_details", call={"call_id": self.talk.call_id, "call_type": "web_call", **details})

    async def update(self, turn: str = "user_turn") -> None:
        await self._send("update_only", transcript=self.talk.transcript, turntaking=turn)

    async def say(self, text: str) -> int:
        """The caller said something, in the middle of an answer or not; returns the id of the answer asked for."""
        self.talk.say(text)
        return await self._ask("response_required")

    async def stay_silent(self) -> int:
        """The caller has said nothing for long; returns the id of the answer asked for."""
        return await self._ask("reminder_required")

    async def ask_again(self) -> int:
        """On a new socket: the answer that was cut off."""
        transcript = self.talk.transcript
        await self._send("response_required", response_id=self.talk.newest, transcript=transcript)
        return self.talk.newest

    async def ping(self) -> float:
        """The seconds until the pong."""
        self._pings += 1
        sent, began = self._pings, trio.current_time()
        await self._send("ping_pong", timestamp=sent)
        await self.until(lambda frame: frame == {"response_type": "ping_pong", "timestamp": sent})
        return trio.current_time() - began

    async def _ask(self, kind: str) -> int:
        number = self.talk.ask()
        await self._send(kind, response_id=number, transcript=self.talk.transcript)
        return number

    async def _send(self, interaction_type: str, **fields: Any) -> None:
        await self._wire.send_message(json.encode({"interaction_type": interaction_type, **fields}).decode())

    # --- what comes ---

    async def until(self, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first such frame, of those that came and those that come."""
        with trio.fail_after(PATIENCE):
            while (found := next((frame for frame in self.frames if is_it(frame)), None)) is None:
                await self._came.wait()
        return found

    async def begun(self, response_id: int) -> None:
        """Wait for the first piece of an answer."""
        await self.until(lambda frame: frame.get("response_id") == response_id)

    async def answer(self, response_id: int) -> str:
        """The whole answer, once it is complete."""
        await self.until(lambda frame: frame.get("response_id") == response_id and frame["content_complete"])
        return "".join(frame["content"] for frame in self.frames if frame.get("response_id") == response_id)

    async def closed(self) -> int:
        """The close code, once there is one."""
        with trio.fail_after(PATIENCE):
            while self.code is None:
                await self._came.wait()
        return self.code

    def _take(self, frame: dict[str, Any]) -> None:
        if frame["response_type"] == "response":
            if frame["response_id"] < self.talk.newest:
                self.stale.append(frame)
            else:
                self.talk.hear(frame)
        self.frames.append(frame)
        self._tell()

    def _tell(self) -> None:
        self._came.set()
        self._came = trio.Event()


@asynccontextmanager
async def calling(url: str, talk: Talk) -> AsyncIterator[Caller]:
    """A socket of the call, at the server's `url`, which ends with its secret path. Raises CannotConnect."""
    async with open_wire(f"{url}/{talk.call_id}") as wire, trio.open_nursery() as nursery:
        caller = Caller(wire, talk)
        nursery.start_soon(caller.listen)
        yield caller
        nursery.cancel_scope.cancel()
