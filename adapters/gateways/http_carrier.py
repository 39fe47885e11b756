"""A carrier behind a JSON API, at `SHIPVOX_API_URL`.

    POST <url>/rates   {origin_zip, destination_zip, weight, dimensions?: {length, width, height}, pickup_requested}
        → {rates: [{carrier, service_name, service_tier, cost, transit_days, estimated_delivery}]}
    POST <url>/labels  {carrier, service_type, shipper, recipient: {name, street, city, state, zip, country}, weight,
                        dimensions?}, with an `Idempotency-Key`
        → {tracking_number, carrier, estimated_delivery, label_pdf: base64, qr_png?: base64}

Without `qr_png` the QR code is drawn here. Buying again with the same key has to give the label that was bought, as
after a crash or a lost answer nobody here knows whether it was.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import msgspec
import trio
from msgspec import Struct, structs

from adapters.gateways.breaker import Breaker
from adapters.gateways.http_answers import read_up_to, tls_settings
from adapters.gateways.label_sheets import draw_qr, qr_text
from adapters.gateways.model_failures import retry_after_of
from core.ports import CarrierFailure
from core.shipping import Label, LabelOrder, Rate, Route

if TYPE_CHECKING:
    import httpx

MAX_ANSWER_BYTES = 16 * 1024 * 1024
MAX_QUOTED = 200
"""Characters of the carrier's own message that are passed on."""

T = TypeVar("T")


class RatesAnswer(Struct, frozen=True):
    rates: list[Rate]


class LabelAnswer(Struct, frozen=True):
    tracking_number: str
    carrier: str
    estimated_delivery: str
    label_pdf: bytes
    qr_png: bytes | None = None


class Passing(CarrierFailure):
    """A failure that may be gone at the next try."""


class Down(Passing):
    """The carrier cannot be reached. It is tried until the time is over."""


class HTTPCarrier:
    """`core.ports.Carrier` over HTTP. Times are in seconds.

    `timeout` bounds an answer with all its tries. A passing failure (429, 5xx, a lost connection) is tried again with
    the same idempotency key, `attempts` times in all, after what Retry-After asks for, or else `backoff` doubled from
    try to try; who cannot be reached at all is tried until the time is over. `jitter` gives 0 to 1.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 10.0,
        attempts: int = 3,
        backoff: float = 0.25,
        breaker: Breaker | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._url, self._timeout, self._attempts, self._backoff = url.rstrip("/"), timeout, attempts, backoff
        self._breaker, self._jitter = breaker or Breaker(), jitter

    @property
    def name(self) -> str:
        return f"http/{urlsplit(self._url).hostname}"

    async def rates(self, route: Route) -> Sequence[Rate]:
        asked = {
            "origin_zip": route.origin_zip,
            "destination_zip": route.destination_zip,
            **msgspec.to_builtins(route.parcel),
            "pickup_requested": route.pickup,
        }
        answer = await self._ask("rates", asked, RatesAnswer, {})
        if not answer.rates:
            raise CarrierFailure("the carrier has no rates for this parcel")
        return answer.rates

    async def label(self, order: LabelOrder, key: str) -> Label:
        asked = msgspec.to_builtins(order)
        asked |= asked.pop("parcel")
        answer = await self._ask("labels", asked, LabelAnswer, {"Idempotency-Key": key})
        if not answer.label_pdf.startswith(b"%PDF-") or not answer.tracking_number:
            raise CarrierFailure("the carrier's answer holds no label")
        order = structs.replace(order, carrier=answer.carrier)
        qr = answer.qr_png
        if qr is None:
            qr = await trio.to_thread.run_sync(draw_qr, qr_text(answer.tracking_number, order))
        return Label(answer.tracking_number, answer.carrier, answer.estimated_delivery, answer.label_pdf, qr)

    async def _ask(self, endpoint: str, asked: dict[str, Any], kind: type[T], headers: dict[str, str]) -> T:
        """Whom failing again and again has shown to be down is left alone for a while."""
        breaker = self._breaker
        if wait := breaker.seconds_to_wait(trio.current_time()):
            raise CarrierFailure("the carrier has failed too often and is left alone for now", wait)
        try:
            answer = _read(await self._answer_in_time(endpoint, asked, headers), kind)
        except Passing:
            breaker.failed(trio.current_time())
            raise
        except CarrierFailure:
            breaker.succeeded()  # it is there, and says no
            raise
        except BaseException:
            breaker.abandoned(trio.current_time())
            raise
        breaker.succeeded()
        return answer

    async def _answer_in_time(self, endpoint: str, asked: dict[str, Any], headers: dict[str, str]) -> bytes:
        import httpx

        tls = await trio.to_thread.run_sync(tls_settings)
        with trio.move_on_after(self._timeout):
            async with httpx.AsyncClient(verify=tls, timeout=None, headers=headers, trust_env=False) as client:  # noqa: S113  # Trio's deadline holds it
                return await self._answer(client, endpoint, asked)
        raise Passing(f"timeout calling {endpoint} endpoint")

    async def _answer(self, client: httpx.AsyncClient, endpoint: str, asked: dict[str, Any]) -> bytes:
        """The first whole answer that is not a passing failure."""
        tried = 0
        while True:
            try:
                return await _post(client, f"{self._url}/{endpoint}", asked)
            except Passing as failure:
                tried += 1
                if tried >= self._attempts and not isinstance(failure, Down):
                    raise
                await trio.sleep(self._delay(tried, failure))

    def _delay(self, tried: int, failure: Passing) -> float:
        """Seconds until the next try. Raises the failure when the carrier asks for more time than there is."""
        if failure.retry_after is None:
            return min(self._backoff * 2.0 ** (tried - 1), 2.0) * (0.5 + self._jitter() / 2)
        if failure.retry_after >= self._timeout:
            raise failure
        return failure.retry_after


async def _post(client: httpx.AsyncClient, url: str, asked: dict[str, Any]) -> bytes:
    """Raises CarrierFailure, Passing where it may be better the next time."""
    import httpx

    try:
        async with client.stream("POST", url, json=asked, headers={"Accept-Encoding": "identity"}) as response:
            body = await _read_whole(response)
    except httpx.ConnectError as error:
        raise Down("the carrier cannot be reached") from error
    except (httpx.TransportError, httpx.StreamError) as error:
        raise Passing("the carrier's answer was cut off") from error
    if response.is_success:
        return body
    raise _refusal(response, body)


async def _read_whole(response: httpx.Response) -> bytes:
    body = await read_up_to(response, MAX_ANSWER_BYTES)
    if body is None:
        raise CarrierFailure(f"the carrier's answer has more than {MAX_ANSWER_BYTES} bytes")
    return body


def _refusal(response: httpx.Response, body: bytes) -> CarrierFailure:
    retry_after = retry_after_of(response.headers, time.time())
    match response.status_code:
        case 429:
            return Passing("the carrier is asked too often (429)", retry_after)
        case status if status >= 500:
            return Passing(f"the carrier's server failed ({status})", retry_after)
        case status:
            return CarrierFailure(f"the carrier refused the request ({status}){_said(body)}", retry_after)


def _said(body: bytes) -> str:
    """What a JSON error says of itself, for people."""
    try:
        said = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    text = next((said[key] for key in ("error", "detail", "message") if isinstance(said.get(key), str)), "")
    return f": {text[:MAX_QUOTED]}" if text else ""


def _read(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Passing(f"the carrier's answer is not what it should be: {str(error)[:MAX_QUOTED]}") from error
