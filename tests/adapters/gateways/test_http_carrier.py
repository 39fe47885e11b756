"""The HTTP carrier against a server that streams, stalls, cuts off, refuses and talks nonsense."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from adapters.gateways.breaker import Breaker
from adapters.gateways.http_carrier import HTTPCarrier
from core.ports import CarrierFailure
from core.shipping import Address, Dimensions, LabelOrder, Parcel, Rate, Route
from tests.adapters.gateways.model_server import FOREVER, ModelServer, refusal, serving

ROUTE = Route("94105", "10118", Parcel(5, Dimensions(12, 10, 8)))
OFFER = Rate("UPS", "Ground", "ground", 12.5, "2025-01-10T12:00:00Z", 5)
THERE = Address("Ann", "1 Market St", "San Francisco", "CA", "94105")
ORDER = LabelOrder("UPS", "Ground", THERE, THERE, Parcel(5))
BOUGHT = {
    "tracking_number": "1Z5",
    "carrier": "UPS",
    "estimated_delivery": "2025-01-10T12:00:00Z",
    "label_pdf": base64.b64encode(b"%PDF-1.7").decode(),
}


def whole(value: Any) -> list[bytes]:
    return [refusal("200 OK", body=msgspec.json.encode(value))]


RATES = whole({"rates": [OFFER]})
LABEL = whole(BOUGHT)
CUT_OFF = [b'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{"rates": [']


def carrier(server: ModelServer, **options: Any) -> HTTPCarrier:
    return HTTPCarrier(server.url, **{"backoff": 0.001, **options})


async def failure_of(carrier: HTTPCarrier) -> str:
    with pytest.raises(CarrierFailure) as caught:
        await carrier.rates(ROUTE)
    return caught.value.reason


async def test_rates_are_asked_for_and_read() -> None:
    async with serving(RATES) as server:
        assert await carrier(server).rates(ROUTE) == [OFFER]
    assert server.requests[0].startswith(b"POST /v1/rates ")
    assert server.bodies == [
        {
            "origin_zip": "94105",
            "destination_zip": "10118",
            "weight": 5,
            "dimensions": {"length": 12, "width": 10, "height": 8},
            "pickup_requested": False,
        }
    ]


async def test_a_label_is_bought_with_the_idempotency_key_at_every_try() -> None:
    async with serving([], refusal_of("503 Service Unavailable"), LABEL) as server:
        label = await carrier(server).label(ORDER, "k-1")
    assert (label.tracking_number, label.carrier, label.pdf[:5]) == ("1Z5", "UPS", b"%PDF-")
    assert label.qr.startswith(b"\x89PNG")
    assert len(server.requests) == 3
    assert all(b"idempotency-key: k-1\r\n" in request.lower() for request in server.requests)


def refusal_of(status: str, *headers: str, **options: Any) -> list[bytes]:
    return [refusal(status, *headers, **options)]


async def test_an_answer_in_small_pieces_is_one_answer() -> None:
    [answer] = RATES
    pieces: list[bytes | float] = []
    for n in range(len(answer)):
        pieces += [answer[n : n + 1], 0.0]
    async with serving(pieces) as server:
        assert await carrier(server).rates(ROUTE) == [OFFER]


@pytest.mark.parametrize("moves", [[FOREVER], [b"HTTP/1.1 200 OK\r\n", FOREVER], [*CUT_OFF, FOREVER]])
async def test_who_stalls_is_timed_out(moves: list[bytes | float]) -> None:
    async with serving(moves) as server:
        assert await failure_of(carrier(server, timeout=0.2)) == "timeout calling rates endpoint"
        await server.was_left.wait()


async def test_ten_seconds_is_what_a_carrier_gets(autojump_clock: MockClock) -> None:
    async def hang(*_: object, **__: object) -> bytes:
        await trio.sleep_forever()
        raise AssertionError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("adapters.gateways.http_carrier._post", hang)
        assert await failure_of(HTTPCarrier("http://127.0.0.1:1")) == "timeout calling rates endpoint"
    assert autojump_clock.current_time() == pytest.approx(10.0)


async def test_who_is_down_is_tried_until_the_time_is_over() -> None:
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
    await listener.aclose()
    assert await failure_of(HTTPCarrier(url, timeout=0.2, backoff=0.001)) == "timeout calling rates endpoint"


async def test_a_passing_failure_is_tried_again() -> None:
    async with serving(CUT_OFF, refusal_of("429 Too Many Requests", "retry-after: 0"), RATES) as server:
        assert await carrier(server).rates(ROUTE) == [OFFER]
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("moves", "reason"),
    [
        (CUT_OFF, "the carrier's answer was cut off"),
        ([], "the carrier's answer was cut off"),
        ([b"SSH-2.0-OpenSSH\r\n"], "the carrier's answer was cut off"),
        (refusal_of("500 Internal Server Error"), "the carrier's server failed (500)"),
        (refusal_of("429 Too Many Requests", "retry-after: 0"), "the carrier is asked too often (429)"),
    ],
)
async def test_a_failure_that_does_not_pass_is_told_after_three_tries(moves: list[bytes], reason: str) -> None:
    async with serving(moves) as server:
        assert await failure_of(carrier(server)) == reason
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("moves", "reason"),
    [
        (refusal_of("400 Bad Request", body=b'{"error":"no such ZIP"}'),
         "the carrier refused the request (400): no such ZIP"),
        (refusal_of("401 Unauthorized", body=b"<html>"), "the carrier refused the request (401)"),
        (refusal_of("302 Found", "location: http://127.0.0.1:1/"), "the carrier refused the request (302)"),
        (refusal_of("200 OK", body=b"<html>"), "the carrier's answer is not what it should be"),
        (refusal_of("200 OK", body=b"[" * 100_000), "the carrier's answer is not what it should be"),
        (whole({"rates": [{"carrier": "UPS"}]}), "the carrier's answer is not what it should be"),
        (whole({"rates": []}), "the carrier has no rates for this parcel"),
        (refusal_of("429 Too Many Requests", "retry-after: 3600"), "the carrier is asked too often (429)"),
    ],
)  # fmt: skip
async def test_what_another_try_will_not_mend_is_told_at_once(moves: list[bytes], reason: str) -> None:
    async with serving(moves) as server:
        assert (await failure_of(carrier(server))).startswith(reason)
    assert len(server.requests) == 1


async def test_an_answer_without_end_is_given_up() -> None:
    endless = [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", *[b"100000\r\n" + b" " * 2**20 + b"\r\n"] * 20]
    async with serving(endless) as server:
        assert "has more than 16777216 bytes" in await failure_of(carrier(server))


@pytest.mark.parametrize("spoilt", [{"label_pdf": base64.b64encode(b"<html>").decode()}, {"tracking_number": ""}])
async def test_what_is_no_label_is_not_taken_for_one(spoilt: dict[str, Any]) -> None:
    async with serving(whole(BOUGHT | spoilt)) as server:
        with pytest.raises(CarrierFailure, match="holds no label"):
            await carrier(server).label(ORDER, "k")


async def test_who_failed_again_and_again_is_left_alone_and_then_tried_once() -> None:
    async with serving(*[refusal_of("500 Oops")] * 2, RATES) as server:
        asked = carrier(server, attempts=1, breaker=Breaker(failures=2, rest=0.2))
        for _ in range(2):
            assert await failure_of(asked) == "the carrier's server failed (500)"
        assert await failure_of(asked) == "the carrier has failed too often and is left alone for now"
        assert len(server.requests) == 2
        await trio.sleep(0.2)
        assert await asked.rates(ROUTE) == [OFFER]


async def test_nothing_of_a_cancelled_request_stays_open() -> None:
    async with serving([FOREVER]) as server:
        with trio.move_on_after(0.1):
            await carrier(server).rates(ROUTE)
        await server.was_left.wait()
        assert server.open_connections == 0
