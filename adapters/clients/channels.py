"""The client of channels: subscribed through every loss, hearing what others publish, publishing itself.

It speaks to any server of the dialect `channels`, also to one that knows no positions: then what was published while
the connection was lost is not heard, and what was under way is not sent again, as it might arrive twice.

Nobody acknowledges what is published. But whoever unsubscribes is answered behind what was published before, and by a
Callboard when that is in its log. So the client asks now and then to be unsubscribed from what nobody can subscribe to,
and knows from the answer what has arrived.
"""

# long because: connecting, hearing and sending are one talk with the server, and share its state

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import structlog
import trio
from msgspec import json
from trio_websocket import ConnectionClosed, WebSocketConnection

from adapters.clients.follower import ABNORMAL, ENDINGS, LONGEST_RETRY, PASSING, SETTLED, Closed, Terms
from adapters.clients.hearing import Fields, Frame, Message, Place, Untaken, fields_of, read, text_of
from adapters.clients.outbox import Lost, Outbox, Pace, Parcel
from adapters.clients.wire import CLOSED_WITHIN, CannotConnect, open_wire

GENTLE = 0.02
"""Seconds between two frames once the server has said that it was too much."""
RECEIPT = "ping"
"""A reserved name, so that no channel is called so: to be unsubscribed from it changes nothing."""
RECEIPT_EVERY = 1.0
"""Seconds between two receipts, unless there is much to be confirmed."""
FINAL_ERRORS = frozenset({"reserved_channel", "missing_channel", "invalid_message", "invalid_json"})
"""Codes of refusals of a subscription that asking again does not change."""

log = structlog.get_logger("callboard.channels")


class SubscriptionFailed(Exception):
    """The server does not let us subscribe, or does not answer. `code` is its own, "" where it gave none."""

    def __init__(self, message: str, code: str = "", retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.code, self.retry_after = code, retry_after


class WebSocketManager:
    """One channel, subscribed to while the `async with` block lasts; it comes back after every loss.

    Iterate over it for what others publish; `publish` what others shall hear. While nobody takes what was heard
    nothing more is read, unless nobody ever did. The iteration ends when the server closes with 1000; another final
    close raises Closed, a refusal that does not pass CannotConnect or SubscriptionFailed: there and in `publish`.

    After a loss it hears from the server's log what it missed; its own messages may be among that. `gaps` counts the
    times the server could not say; `losses` the connections lost.

    What is published arrives once and in its order, through all losses, but for two lists, of which the last are kept:
    `dropped` are payloads that were never sent, as the bounded outbox was full or the end came first, `dropped_count`
    how many; `unsure` are those that were sent last before the end, or to a server without positions before a loss,
    and may have arrived. What the server refuses as too much (`busy`, `rate_limited`) is sent again, behind what it
    took meanwhile; `pace` is there to avoid that. Of what it refuses for good `refused` is told why. The rest of the
    parameters are those of `adapters.clients.follower.Terms`.
    """

    def __init__(
        self, uri: str, channel: str, *, outbox: Outbox | None = None, pace: Pace | None = None,
        refused: Callable[[str], None] | None = None, **terms: Any,
    ) -> None:  # fmt: skip
        self.uri, self.channel = uri, channel
        self.websocket: WebSocketConnection | None = None
        self.is_subscribed = False
        self.losses = 0
        self._terms, self._refused = Terms(**terms), refused
        self._outbox = Outbox() if outbox is None else outbox
        self._untaken, self._place = Untaken(), Place()
        self._failures, self._not_before, self._gently = 0, 0.0, False
        self._pace = Pace() if pace is None else pace
        self._failure: Exception | None = None
        self._over: Exception | None = None
        self._is_over = self._leaving = False
        self._changed, self._unsubscribed = trio.Event(), trio.Event()
        self._receipt = trio.Event()
        self._running: AbstractAsyncContextManager[None] = self._run_beside()

    @property
    def gaps(self) -> int:
        return self._place.gaps

    @property
    def position(self) -> int | None:
        return self._place.position

    @property
    def epoch(self) -> str | None:
        """Which log the server has; None before it is subscribed, and where the server does not say."""
        return self._place.epoch

    @property
    def dropped(self) -> list[Any]:
        return _payloads(self._outbox.dropped)

    @property
    def dropped_count(self) -> int:
        return self._outbox.dropped.count

    @property
    def unsure(self) -> list[Any]:
        return _payloads(self._outbox.unsure)

    @property
    def unsure_count(self) -> int:
        return self._outbox.unsure.count

    @property
    def waiting(self) -> int:
        """How many messages wait to be sent."""
        return len(self._outbox)

    @property
    def unconfirmed(self) -> int:
        """How many of the last messages published are not known to have arrived."""
        return self._outbox.unconfirmed

    async def __aenter__(self) -> Self:
        await self._running.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._running.__aexit__(kind, error, trace)

    @asynccontextmanager
    async def _run_beside(self) -> AsyncIterator[None]:
        failure: Exception | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._run)
            try:
                yield
            except Exception as error:  # noqa: BLE001  # raised again below: the nursery would wrap it
                failure = error
            await self.close()
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure

    # --- what one does with it ---

    async def connect(self, within: float = 10.0) -> None:
        """Wait until it is subscribed. Raises CannotConnect, SubscriptionFailed or Closed: at once for what does not
        pass, else what stood in the way when `within` seconds were over."""
        with trio.move_on_after(within):
            while not self.is_subscribed:
                if self._is_over:
                    break
                await self._changed.wait()
            else:
                return
        raise self._over or self._failure or CannotConnect(f"{self.uri} did not answer within {within:g} s")

    def publish(self, payload: dict[str, Any], id: str | None = None) -> None:
        """Send it as soon as there is a connection; a Callboard publishes what has the same `id` (at most 128
        characters) once. Raises what ended the talk when it is over."""
        self._put(self.channel, payload, id or str(uuid4()))

    def ask(self, question: str, thread_id: str) -> None:
        """Ask the assistant in this thread; what it does is published on the channel. Raises as `publish` does."""
        self._put("ask", {"channel": self.channel, "thread_id": thread_id, "message": question}, str(uuid4()))

    def _put(self, kind: str, payload: dict[str, Any], id: str) -> None:
        if self._is_over:
            raise self._over or Closed(1000, "the talk is over")
        frame = {"type": kind, "payload": payload, "command_id": id}
        self._say_dropped(self._outbox.add(Parcel(id, json.encode(frame).decode())), "the outbox is full")
        self._wake()

    async def changed(self) -> None:
        """Wait until something changes in what waits, what is confirmed, or whether there is a connection."""
        await self._changed.wait()

    async def flushed(self) -> None:
        """Wait until nothing waits to be sent. Raises what ended the talk when it is over."""
        while len(self._outbox):
            if self._is_over:
                raise self._over or Closed(1000, "the talk is over")
            await self._changed.wait()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        untaken = self._untaken
        untaken.is_wanted = True
        while not untaken.messages:
            if self._is_over:
                if self._over is None or (isinstance(self._over, Closed) and self._over.code == 1000):
                    raise StopAsyncIteration
                raise self._over
            await untaken.changed.wait()
        message = untaken.messages.popleft()
        untaken.wake()
        return message

    async def close(self) -> None:
        """Send what waits, unsubscribe, say goodbye; in bounded time, and for good."""
        if not self._leaving:
            self._leaving = True
            with trio.move_on_after(CLOSED_WITHIN):
                await self._part()
            self._say_dropped(self._outbox.give_up(), "closed before it could be sent")
            self._end(None)

    async def _part(self) -> None:
        self._wake()
        while self.is_subscribed and (len(self._outbox) or self._outbox.under_way):
            await self._changed.wait()
        wire = self.websocket
        if wire is None or not self.is_subscribed:
            return
        self._untaken.is_wanted = False  # nobody takes anything more; the answer stands behind what waits
        self._untaken.wake()
        with suppress(ConnectionClosed):
            await wire.send_message(text_of("unsubscribe", {"channel": self.channel}))
            await self._unsubscribed.wait()
            await wire.aclose()

    # --- one connection after the other ---

    async def _run(self) -> None:
        try:
            while True:
                await self._once()
                if not self._failures:
                    log.warning("not connected; it is tried again", uri=self.uri, reason=str(self._failure))
                await trio.sleep(self._pause())
        except Exception as error:  # noqa: BLE001  # raised again where somebody asks
            self._end(error)

    def _end(self, reason: Exception | None) -> None:
        if not self._is_over:
            self._is_over, self._over = True, reason
        self._note(None)
        self._unsubscribed.set()
        self._untaken.wake()

    async def _once(self) -> None:
        """One connection, or the attempt at one. Raises what ends the talk."""
        began = trio.current_time()
        terms = self._terms
        try:
            headers = await self._headers()
            async with open_wire(
                self.uri, within=terms.within, tls=terms.tls, headers=headers, pulse=terms.pulse, dial=terms.dial
            ) as wire:
                self.websocket = wire
                await self._subscribe(wire)
                began = trio.current_time()
                self._note(wire)
                await self._talk(wire)
        except ConnectionClosed as closed:
            self._note_close(closed)
        except CannotConnect as refusal:
            self._note_refusal(refusal)
        except SubscriptionFailed as failure:
            self._note_failed_subscription(failure)
        was_subscribed = self.is_subscribed
        self._note(None)
        if was_subscribed and trio.current_time() - began >= SETTLED:
            self._failures = 0

    async def _headers(self) -> dict[str, str]:
        token = self._terms.token
        if token is None:
            return {}
        return {"authorization": f"Bearer {token if isinstance(token, str) else await token()}"}

    async def _subscribe(self, wire: WebSocketConnection) -> None:
        asked = self._place.asked_from(self.channel)
        await wire.send_message(text_of("subscribe", asked))
        answer: Frame | None = None
        with trio.move_on_after(self._terms.within):
            answer = read(await wire.get_message())
        if answer is None:
            raise SubscriptionFailed(f"{self.uri} does not answer in our words")
        fields = fields_of(answer)
        if answer.type != "subscribed":
            raise SubscriptionFailed(fields.message or f"answered {answer.type!r}", fields.code, fields.retry_after)
        if not self._place.begin(fields):
            log.warning("messages were missed", uri=self.uri, channel=self.channel)
        if self._place.epoch is not None:
            self._outbox.take_back()
        else:
            self._outbox.let_go()

    async def _talk(self, wire: WebSocketConnection) -> None:
        """Hear and send, until the connection is lost: that is raised by itself, not in a group."""
        lost: ConnectionClosed | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send, wire)
            nursery.start_soon(self._confirm, wire)
            try:
                while True:
                    await self._hear(read(await wire.get_message()))
            except ConnectionClosed as closed:
                lost = closed
            nursery.cancel_scope.cancel()
        if lost is not None:
            raise lost

    async def _hear(self, frame: Frame | None) -> None:
        if frame is None:
            log.warning("a frame that is no JSON object was dropped", uri=self.uri)
        elif frame.type == self.channel:
            if self._place.is_new(frame.position):
                await self._untaken.put(Message(frame.payload, frame.position))
                self._place.passed(frame.position)
        elif frame.type == "unsubscribed":
            (self._receipt if fields_of(frame).channel == RECEIPT else self._unsubscribed).set()
        elif frame.type == "error":
            self._note_error(fields_of(frame))

    async def _send(self, wire: WebSocketConnection) -> None:
        with suppress(ConnectionClosed):  # who hears sees it too
            while True:
                await trio.sleep_until(self._not_before)
                parcel = self._outbox.take()
                if parcel is None:
                    self._gently = self._gently and len(self._outbox) > 0
                    self._wake()
                    await self._changed.wait()
                    continue
                await self._send_one(wire, parcel)

    async def _send_one(self, wire: WebSocketConnection, parcel: Parcel) -> None:
        try:
            await trio.sleep(max(self._pace.take(trio.current_time()), GENTLE * self._gently))
            await wire.send_message(parcel.text)
        except BaseException:  # cancelled too: whether it got through nobody knows
            self._outbox.put_back(parcel)
            raise
        self._outbox.sent(parcel)
        if self._leaving or self._outbox.is_full:
            self._wake()

    async def _confirm(self, wire: WebSocketConnection) -> None:
        with suppress(ConnectionClosed):
            while True:
                with trio.move_on_after(RECEIPT_EVERY):
                    while not (self._outbox.is_full or (self._leaving and self._outbox.under_way)):
                        await self._changed.wait()
                if self._outbox.under_way:
                    last = self._outbox.sent_count
                    await self._ask_for_receipt(wire)
                    self._outbox.confirm(last)
                    self._wake()

    async def _ask_for_receipt(self, wire: WebSocketConnection) -> None:
        """Wait until what was sent has arrived, or was taken back. A server without positions has at least read it."""
        if self._place.epoch is None:
            await wire.ping()
            return
        self._receipt = trio.Event()
        await wire.send_message(text_of("unsubscribe", {"channel": RECEIPT}))
        await self._receipt.wait()

    # --- what happened ---

    def _note(self, wire: WebSocketConnection | None) -> None:
        self.websocket, self.is_subscribed = wire, wire is not None
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    def _note_close(self, closed: ConnectionClosed) -> None:
        code = closed.reason.code if closed.reason else ABNORMAL
        reason = closed.reason.reason if closed.reason else None
        if self._leaving or code in ENDINGS or 3000 <= code <= 3999 or 4500 <= code <= 4999:
            raise Closed(code, reason) from None
        self._failure = Closed(code, reason)
        self.losses += 1

    def _note_refusal(self, refusal: CannotConnect) -> None:
        self._failure = refusal
        if refusal.status is not None and refusal.status < 500 and refusal.status not in PASSING:
            raise refusal

    def _note_failed_subscription(self, failure: SubscriptionFailed) -> None:
        self._failure = failure
        self._stay_away(failure.retry_after)
        if failure.code in FINAL_ERRORS:
            raise failure

    def _note_error(self, fields: Fields) -> None:
        """Something was not published. Which it was is not said; the ids make sending all again harmless."""
        log.warning("not published", uri=self.uri, channel=self.channel, code=fields.code, reason=fields.message)
        if fields.code in FINAL_ERRORS and self._refused is not None:
            self._refused(fields.message)
        if fields.code in ("busy", "rate_limited") and self._place.epoch is not None:
            self._stay_away(fields.retry_after)
            self._gently = True
            self._outbox.take_back()
            self._receipt.set()  # it may be what was refused, and what it was for is under way no more
            self._wake()

    def _stay_away(self, seconds: float) -> None:
        self._not_before = trio.current_time() + min(max(seconds, 0.0), LONGEST_RETRY)

    def _pause(self) -> float:
        self._failures += 1
        return max(0.0, self._not_before - trio.current_time()) + self._terms.backoff.delay(self._failures)

    def _say_dropped(self, parcels: list[Parcel], why: str) -> None:
        for parcel in parcels:
            log.warning("a message was dropped", channel=self.channel, why=why, command_id=parcel.id)


def _payloads(lost: Lost) -> list[Any]:
    return [json.decode(parcel.text)["payload"] for parcel in lost.parcels]
