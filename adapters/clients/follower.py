"""Follow a stream over a WebSocket, through every loss: each frame once and in order, or an announced snapshot.

For any dialect whose frames carry `seq` and whose greeting says `epoch` and `recovered`.
"""

from __future__ import annotations

import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog
import trio
from msgspec import DecodeError, json
from trio_websocket import ConnectionClosed, WebSocketConnection

from actors.backoff import Backoff
from adapters.clients.bookmark import Bookmark, Gap, Place
from adapters.clients.wire import CLOSED_WITHIN, CannotConnect, Dial, Pulse, open_wire

Token = str | Callable[[], Awaitable[str]]
"""A token, or who is asked for one before every connection: only the latter comes back from an expired one."""

BACKOFF = Backoff(random.random, first=0.5, cap=30.0)
SETTLED = 10.0
"""Seconds a connection has to live for the next loss to count as the first."""
ABNORMAL, EXPIRED, UNAUTHORIZED, DONE = 1006, 4401, 401, 1000
ENDINGS = frozenset({DONE, 1002, 1003, 1007, 1008, 1010})
PASSING = frozenset({408, 425, 429})
"""HTTP refusals below 500 that pass by themselves."""
LONGEST_RETRY = 300.0
"""Seconds a server may ask us to stay away."""

log = structlog.get_logger("callboard.follower")


class Closed(Exception):
    """The server closed with a code that says: do not come back. `code` and `reason` are its own."""

    def __init__(self, code: int, reason: str | None) -> None:
        super().__init__(f"{code} {reason or ''}".strip())
        self.code, self.reason = code, reason


@dataclass(frozen=True, slots=True)
class Heard:
    """One frame: what it is to the follower, its fields, the text as it came, and the place to go on from behind it."""

    place: Place
    frame: dict[str, Any]
    text: str
    seq: int | None
    epoch: str | None


@dataclass(frozen=True, slots=True)
class Terms:
    """How to connect and to come back."""

    token: Token | None = None
    tls: ssl.SSLContext | None = None
    within: float = 5.0
    pulse: Pulse = field(default=Pulse())
    backoff: Backoff = BACKOFF
    dial: Dial = trio.open_tcp_stream


def follow(
    url: str, *, since: int | None = None, epoch: str | None = None, contiguous: bool = False, **terms: Any
) -> AbstractAsyncContextManager[Follower]:
    """A follower that connects at once and comes back until the block ends or the server says that it is over.

    `since` and `epoch` are those of an earlier follower, to go on where it was. `contiguous` is for dialects that show
    every version, so that a missing one is a gap. The rest is that of `Terms`.
    """
    return _following(Follower(url, Bookmark(since, epoch, contiguous), Terms(**terms)))


@asynccontextmanager
async def _following(follower: Follower) -> AsyncIterator[Follower]:
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(follower.run)
        try:
            yield follower
        except Exception as error:  # noqa: BLE001  # raised again below: the nursery would wrap it
            failure = error
        await follower.leave()
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


class Follower:
    """Iterate over it for what is heard. The iteration ends when the server closes with 1000.

    It raises Closed for another final close code, CannotConnect for a refusal that does not pass, and what asking for a
    token raised. While nobody takes what was heard nothing more is read; a server that closes us for that is resumed.

    `seq` and `epoch` are the place behind the last frame that was taken: a later `follow` goes on from there.
    """

    def __init__(self, url: str, bookmark: Bookmark, terms: Terms) -> None:
        self.seq, self.epoch = bookmark.seq, bookmark.epoch
        self.losses = 0
        self.gaps: list[Gap] = []
        self._url, self._bookmark, self._terms = url, bookmark, terms
        self._failures, self._not_before = 0, 0.0
        self._came, self._heard = trio.open_memory_channel[Heard](0)
        self._held: Heard | None = None
        self._wire: WebSocketConnection | None = None
        self._changed = trio.Condition()
        self._over: Exception | None = None
        self._leaving = False

    def __aiter__(self) -> Follower:
        return self

    async def __anext__(self) -> Heard:
        try:
            heard = await self._heard.receive()
        except trio.EndOfChannel:
            if self._over is None or (isinstance(self._over, Closed) and self._over.code == DONE):
                raise StopAsyncIteration from None
            raise self._over from None
        self.seq, self.epoch = heard.seq, heard.epoch
        return heard

    async def send(self, text: str) -> None:
        """Send a frame, as soon as there is a connection. Raises what ended the talk when it is over.

        A frame that was sent may still be lost with its connection: give it a `command_id`, and send it again when
        nothing has come of it. The same id gets the first outcome.
        """
        while True:
            wire = await self._connected()
            try:
                await wire.send_message(text)
                return
            except ConnectionClosed:
                if self._wire is wire:
                    self._wire = None  # the reader sees the loss only behind what still waits to be taken

    async def _connected(self) -> WebSocketConnection:
        async with self._changed:
            while self._wire is None:
                if self._over is not None:
                    raise self._over
                await self._changed.wait()
            return self._wire

    async def leave(self) -> None:
        """Say goodbye to the server, so that it need not wonder, and come back no more."""
        self._leaving = True
        with trio.move_on_after(CLOSED_WITHIN):
            if self._wire is not None:
                await self._wire.aclose()

    # --- the talk ---

    async def run(self) -> None:
        """Connect, listen, and come back after every loss, until it is over."""
        async with self._came:
            try:
                while True:
                    await self._once()
                    await self._pause()
            except Exception as error:  # noqa: BLE001  # raised again where what is heard is awaited
                self._over = error
            await self._change(None)

    async def _once(self) -> None:
        """One connection, or the attempt at one. Raises what ends the talk."""
        began: float | None = None
        try:
            async with self._opened(await self._headers()) as wire:
                began = trio.current_time()
                await self._change(wire)
                await self._listen(wire)
        except ConnectionClosed as closed:
            self._note_close(closed)
        except CannotConnect as refusal:
            self._note_refusal(refusal)
        except Gap as gap:
            log.warning("a gap in what was sent; asking again", url=self._url, after=gap.after, seq=gap.seq)
            self.gaps.append(gap)
        await self._change(None)
        await self._hand_over()
        if began is not None and trio.current_time() - began >= SETTLED:
            self._failures = 0

    def _opened(self, headers: dict[str, str]) -> AbstractAsyncContextManager[WebSocketConnection]:
        terms, url = self._terms, self._bookmark.resume(self._url)
        return open_wire(
            url, within=terms.within, tls=terms.tls, headers=headers, pulse=terms.pulse, dial=terms.dial
        )  # fmt: skip

    async def _headers(self) -> dict[str, str]:
        """The token goes into a header: an address would end up in logs."""
        match self._terms.token:
            case None:
                return {}
            case str(token):
                return {"authorization": f"Bearer {token}"}
            case ask:
                return {"authorization": f"Bearer {await ask()}"}

    async def _change(self, wire: WebSocketConnection | None) -> None:
        async with self._changed:
            self._wire = wire
            self._changed.notify_all()

    async def _listen(self, wire: WebSocketConnection) -> None:
        while True:
            text = await wire.get_message()
            frame = _read(text)
            if frame is None:
                log.warning("a frame that is no JSON object was dropped", url=self._url)
                continue
            place = self._bookmark.place(frame)
            if place is Place.ASIDE:
                self._note_retry_after(frame)
            if place is not Place.REPEAT:
                self._held = Heard(place, frame, str(text), self._bookmark.seq, self._bookmark.epoch)
                await self._hand_over()

    async def _hand_over(self) -> None:
        """Give what was heard to who takes it. A connection that breaks meanwhile may cancel this, so it is done again
        behind every connection: what the bookmark counts as heard must not get lost."""
        if self._held is not None:
            await self._came.send(self._held)
            self._held = None

    # --- coming back ---

    def _note_close(self, closed: ConnectionClosed) -> None:
        code = DONE if self._leaving else closed.reason.code if closed.reason else ABNORMAL
        final = code in ENDINGS or 3000 <= code <= 3999 or 4500 <= code <= 4999
        if final or (code == EXPIRED and not callable(self._terms.token)):
            raise Closed(code, closed.reason.reason if closed.reason else None) from None
        self.losses += 1

    def _note_refusal(self, refusal: CannotConnect) -> None:
        if refusal.status is None or refusal.status >= 500 or refusal.status in PASSING:
            return
        if not (refusal.status == UNAUTHORIZED and callable(self._terms.token)):
            raise refusal

    def _note_retry_after(self, frame: dict[str, Any]) -> None:
        """An error frame that says when to come back; it counts should the connection be lost before."""
        payload = frame.get("payload")
        for fields in (frame, payload if isinstance(payload, dict) else {}):
            wanted = fields.get("retry_after")
            if isinstance(wanted, int | float) and wanted > 0:
                self._not_before = trio.current_time() + min(float(wanted), LONGEST_RETRY)

    async def _pause(self) -> None:
        self._failures += 1
        wanted = max(0.0, self._not_before - trio.current_time())
        await trio.sleep(wanted + self._terms.backoff.delay(self._failures))


def _read(text: str | bytes) -> dict[str, Any] | None:
    try:
        frame = json.decode(text)
    except DecodeError:
        return None
    return frame if isinstance(frame, dict) else None
