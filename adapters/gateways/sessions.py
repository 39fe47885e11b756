"""The performers of a session's effects: tools and rates by a carrier, labels into the blob store, and the two watches.

A tool call is run again after a crash. Its idempotency key is made of the session and of what was asked, and not of
its number, so that even a call the session has forgotten, asked again, gets the label it got.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import msgspec
import structlog
import trio

from actors.effects import Perform, Tell
from adapters.gateways.shipments import Unfit, label_order, options, quotes, route
from core.messages import Accepted
from core.ports import BlobStore, BlobTooLarge, Carrier, CarrierFailure, Clock
from core.session import (
    ExpireAt,
    ExpireSession,
    FailRates,
    FailToolCall,
    FetchRates,
    LoseDevices,
    QuoteRates,
    Request,
    RunTool,
    Session,
    SessionExpired,
    SucceedToolCall,
    Transcribe,
    WatchDevices,
)

LONGEST_NAP = 60.0
"""Seconds until the wall clock is looked at again: it may have been set."""

log = structlog.get_logger("callboard.sessions")

_deterministic = msgspec.json.Encoder(order="deterministic").encode


def session_performers(
    carrier: Carrier,
    blobs: BlobStore,
    clock: Clock,
    boot: Callable[[], str],
    *,
    public_url: str = "",
    transcribe: Perform | None = None,
) -> dict[type, Perform]:
    """Who does which effect of a session.

    `boot` gives the running system's, when it is asked. Labels are at `<public_url>/labels/…`; with "" the URLs are
    paths on whatever server the client talks to. Without `transcribe` nobody performs Transcribe.
    """
    tools = Tools(carrier, blobs, public_url)
    performers: dict[type, Perform] = {
        RunTool: tools.run,
        FetchRates: _fetch_rates(carrier),
        WatchDevices: _watch_devices(clock, boot),
        ExpireAt: _expire(clock),
    }
    return performers if transcribe is None else {**performers, Transcribe: transcribe}


class Tools:
    """The client tools, by their names."""

    def __init__(self, carrier: Carrier, blobs: BlobStore, public_url: str) -> None:
        self._carrier, self._blobs, self._public_url = carrier, blobs, public_url.rstrip("/")
        self._tools: dict[str, Callable[[Request, str], Awaitable[Any]]] = {
            "create_label": self._create_label,
            "get_shipping_quotes": self._get_shipping_quotes,
        }

    async def run(self, effect: RunTool, state: Session, tell: Tell) -> None:
        request = state.numbered(effect.number)
        if request is None:
            return
        try:
            result = await self._tools[request.tool_name](request, idempotency_key(state, request))
        except (Unfit, CarrierFailure) as failure:
            reason = f"Invalid parameter: {failure}" if isinstance(failure, Unfit) else str(failure)
            log.warning("a tool call failed", tool=request.tool_name, reason=reason)
            await tell(FailToolCall(effect.number, reason))
        except (BlobTooLarge, OSError):
            log.exception("a label cannot be kept")
            await tell(FailToolCall(effect.number, "the label cannot be kept now"))
        else:
            await tell(SucceedToolCall(effect.number, result))

    async def _create_label(self, request: Request, key: str) -> dict[str, Any]:
        label = await self._carrier.label(label_order(request.content), key)
        sheet, qr = await self._blobs.put(label.pdf), await self._blobs.put(label.qr)
        return {
            "tracking_number": label.tracking_number,
            "label_url": f"{self._public_url}/labels/{sheet}.pdf",
            "qr_code": f"{self._public_url}/qr/{qr}.png",
            "carrier": label.carrier,
            "estimated_delivery": label.estimated_delivery,
        }

    async def _get_shipping_quotes(self, request: Request, key: str) -> list[dict[str, Any]]:  # noqa: ARG002
        return quotes(await self._carrier.rates(route(request.content, "from_zip", "to_zip")))


def idempotency_key(state: Session, request: Request) -> str:
    """The same for the same call in the same session, another for every other.

    A session is told by who opened it and when, in µs: it does not know its own name.
    """
    asked = (state.user, state.created_at, request.id, request.tool_name, request.content)
    return hashlib.sha256(_deterministic(asked)).hexdigest()


def _fetch_rates(carrier: Carrier) -> Perform:
    async def perform(effect: FetchRates, state: Session, tell: Tell) -> None:
        request = state.numbered(effect.number)
        if request is None:
            return
        try:
            rates = await carrier.rates(route(request.content, "origin_zip", "destination_zip"))
        except (Unfit, CarrierFailure) as failure:
            reason = f"Invalid field: {failure}" if isinstance(failure, Unfit) else str(failure)
            log.warning("no rates", reason=reason)
            await tell(FailRates(effect.number, reason))
        else:
            await tell(QuoteRates(effect.number, options(rates)))

    return perform


def _watch_devices(clock: Clock, boot: Callable[[], str]) -> Perform:
    async def perform(effect: WatchDevices, state: Session, tell: Tell) -> None:  # noqa: ARG001  # the performer's signature
        if effect.boot == boot():
            await trio.sleep_forever()
        await tell(LoseDevices(effect.boot, clock.now()))

    return perform


def _expire(clock: Clock) -> Perform:
    expired = count(1)

    async def perform(effect: ExpireAt, state: Session, tell: Tell) -> None:
        while (wait := (effect.time - clock.now()) / 1e6) > 0:  # noqa: ASYNC110  # nobody announces a clock being set
            await trio.sleep(min(wait, LONGEST_NAP))
        outcome = await tell(ExpireSession(clock.now()))
        if isinstance(outcome, Accepted) and any(isinstance(one.event, SessionExpired) for one in outcome.records):
            log.info("a session expired", dialect=state.opened_via, since_start=next(expired))

    return perform
