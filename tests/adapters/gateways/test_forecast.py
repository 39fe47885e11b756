from __future__ import annotations

import gc
import math
import socket
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from adapters.gateways.breaker import Breaker
from adapters.gateways.forecast import MAX_ANSWER, OpenMeteo
from adapters.gateways.scripted_forecast import ScriptedForecast, made_up
from core.ports import ForecastFailure, UnknownPlace, Weather
from tests.adapters.gateways.weather_server import (
    FOREVER,
    MAKATI,
    NOWHERE,
    SUNNY,
    WeatherServer,
    answer,
    place,
    serving,
)

TOO_MANY = answer({"error": True, "reason": "Minutely API request limit exceeded."}, "429 Too Many Requests")
BROKEN = answer(b"<html>", "500 Internal Server Error")
PROMISING = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n"


def forecast_at(server: WeatherServer, **settings: Any) -> OpenMeteo:
    brief = {"backoff": 0.001, "timeout": 5.0}
    return OpenMeteo(geocoding_url=server.geocoding_url, forecast_url=server.forecast_url, **(brief | settings))


def failing(reason: str) -> pytest.RaisesExc[ForecastFailure]:
    return pytest.raises(ForecastFailure, match=reason)


@pytest.fixture(autouse=True)
def nothing_is_left_to_the_garbage_collector() -> Any:
    yield
    gc.collect()


# --- Open-Meteo -------------------------------------------------------------------------------------------------


async def test_the_place_is_found_and_then_its_weather() -> None:
    async with serving((MAKATI,), (SUNNY,)) as server:
        weather = await forecast_at(server).current("  Makati ")
        search, report = server.queries
    assert weather == Weather(
        "Makati City", "Philippines", 14.55, 121.03, 30.14, 34.5, 70.0, 0.0, 11.2, "partly cloudy", "2026-03-01T14:00"
    )
    assert search["name"] == "Makati"
    assert (report["latitude"], report["longitude"]) == ("14.55", "121.03")
    assert "temperature_2m" in report["current"]


async def test_of_places_with_one_name_that_of_the_country_named_is_taken() -> None:
    two = answer(
        {"results": [place("Paris", "France", "FR", 48.9, 2.3), place("Paris", "United States", "US", 33.7, -95.6)]}
    )
    async with serving((two,), (SUNNY,), (two,), (SUNNY,)) as server:
        assert (await forecast_at(server).current("Paris, united states")).country == "United States"
        assert (await forecast_at(server).current("Paris, Mars")).country == "France"
        assert server.queries[0]["name"] == "Paris"


async def test_a_place_nobody_knows_is_said_and_asked_for_once() -> None:
    async with serving((NOWHERE,)) as server:
        with pytest.raises(UnknownPlace, match="'Atlantis'"):
            await forecast_at(server).current("Atlantis")
        assert len(server.targets) == 1


async def test_no_place_is_asked_of_nobody() -> None:
    async with serving((MAKATI,)) as server:
        with pytest.raises(UnknownPlace):
            await forecast_at(server).current("  ")
        assert server.targets == []


@pytest.mark.parametrize("moves", [(TOO_MANY,), (BROKEN,), (), (PROMISING, b"{"), (b"\x00 not HTTP\r\n\r\n",)])
async def test_what_may_pass_is_tried_again(moves: tuple[bytes, ...]) -> None:
    async with serving(moves, (MAKATI,), moves, (SUNNY,)) as server:
        assert (await forecast_at(server).current("Makati")).temperature == 30.14
        assert len(server.targets) == 4


@pytest.mark.parametrize(
    "moves, reason",
    [
        ((TOO_MANY,), r"too often \(429\)"),
        ((BROKEN,), r"server failed \(500\)"),
        ((), "cannot be reached"),
        ((PROMISING, b"{"), "cannot be reached"),
    ],
)
async def test_what_does_not_pass_is_given_up_after_the_last_attempt(moves: tuple[bytes, ...], reason: str) -> None:
    async with serving(moves) as server:
        with failing(reason):
            await forecast_at(server, attempts=2).current("Makati")
        assert len(server.targets) == 2


async def test_nobody_there_is_reported() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        with failing("cannot be reached"):
            await OpenMeteo(geocoding_url=url, forecast_url=url, backoff=0.001).current("Makati")


@pytest.mark.parametrize("moves", [(FOREVER,), (PROMISING, FOREVER), (PROMISING, b'{"results":', FOREVER)])
async def test_a_stall_anywhere_is_bounded(moves: tuple[bytes | float, ...]) -> None:
    async with serving(moves) as server:
        with failing(r"no whole answer within 0\.05 s"):
            await forecast_at(server, timeout=0.05, attempts=1).current("Makati")


async def test_a_server_that_asks_for_a_short_rest_gets_it() -> None:
    busy = answer(b"", "429 Too Many Requests", "retry-after: 0.2")
    async with serving((busy,), (MAKATI,), (SUNNY,)) as server:
        began = trio.current_time()
        await forecast_at(server).current("Makati")
        assert trio.current_time() - began >= 0.2


async def test_a_server_that_asks_for_a_long_rest_is_reported_at_once() -> None:
    async with serving((answer(b"", "503 Unavailable", "retry-after: 60"),)) as server:
        with failing("503") as caught:
            await forecast_at(server).current("Makati")
        assert len(server.targets) == 1
    assert caught.value.retry_after == 60.0


async def test_a_refused_request_is_not_repeated_and_its_reason_is_said() -> None:
    refused = answer({"error": True, "reason": "Latitude must be in range"}, "400 Bad Request")
    async with serving((MAKATI,), (refused,)) as server:
        with failing(r"refused the request \(400\): Latitude must"):
            await forecast_at(server).current("Makati")
        assert len(server.targets) == 2


@pytest.mark.parametrize("nonsense", [b"<html>", b"\xff\xfe", b'{"results": 7}', b'{"results": [{}]}', b"[" * 100_000])
async def test_nonsense_is_a_failure_and_not_asked_for_again(nonsense: bytes) -> None:
    async with serving((answer(nonsense),)) as server:
        with failing("makes no sense"):
            await forecast_at(server).current("Makati")
        assert len(server.targets) == 1


async def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    async with serving((head, b" " * (MAX_ANSWER + 1), FOREVER)) as server:
        with failing("without end"):
            await forecast_at(server).current("Makati")


async def test_what_fails_on_and_on_is_left_alone_for_a_while() -> None:
    async with serving((BROKEN,), (BROKEN,), (MAKATI,), (SUNNY,)) as server:
        forecast = forecast_at(server, attempts=1, breaker=Breaker(failures=2, rest=0.1))
        for _ in range(2):
            with failing("500"):
                await forecast.current("Makati")
        with failing("left alone") as caught:
            await forecast.current("Makati")
        assert len(server.targets) == 2
        assert caught.value.retry_after is not None
        await trio.sleep(caught.value.retry_after)
        assert (await forecast.current("Makati")).temperature == 30.14


@pytest.mark.parametrize("moves", [(FOREVER,), (PROMISING, FOREVER)])
async def test_cancelled_while_it_waits_it_closes_the_connection(moves: tuple[bytes | float, ...]) -> None:
    async with serving(moves) as server:
        with trio.move_on_after(0.1) as scope:
            await forecast_at(server).current("Makati")
        assert scope.cancelled_caught
        with trio.fail_after(1):
            await server.was_left.wait()
        assert server.open_connections == 0


def test_it_has_its_name_in_the_log() -> None:
    assert OpenMeteo().name == "open-meteo"


# --- the circuit breaker ----------------------------------------------------------------------------------------


def test_a_breaker_lets_one_try_through_after_its_rest() -> None:
    breaker = Breaker(failures=2, rest=10.0)
    breaker.failed(0.0)
    assert breaker.seconds_to_wait(0.0) == 0
    breaker.failed(0.0)
    assert breaker.seconds_to_wait(4.0) == 6.0
    assert breaker.seconds_to_wait(10.0) == 0
    assert breaker.seconds_to_wait(10.0) == 10.0
    breaker.failed(11.0)
    assert breaker.seconds_to_wait(20.0) == 1.0
    assert breaker.seconds_to_wait(21.0) == 0
    breaker.succeeded()
    assert breaker.seconds_to_wait(21.0) == 0


def test_one_success_forgives_all_failures_before() -> None:
    breaker = Breaker(failures=2)
    for _ in range(10):
        breaker.failed(0.0)
        breaker.succeeded()
    assert breaker.seconds_to_wait(0.0) == 0


def test_a_try_that_was_given_up_leaves_the_next_one_free() -> None:
    breaker = Breaker(failures=1, rest=10.0)
    breaker.failed(0.0)
    assert breaker.seconds_to_wait(10.0) == 0
    breaker.abandoned(11.0)
    assert breaker.seconds_to_wait(11.0) == 0


# --- the scripted twin ------------------------------------------------------------------------------------------


async def test_the_same_place_has_always_the_same_weather() -> None:
    assert await ScriptedForecast().current("Makati") == await ScriptedForecast().current(" Makati")
    assert made_up("Makati") != made_up("Oslo")


async def test_a_script_says_what_the_weather_is_and_when_there_is_none() -> None:
    forecast = ScriptedForecast({"oslo": made_up("Rome"), "rome": ForecastFailure("no")})
    assert (await forecast.current("Oslo")).location == "Rome"
    with failing("no"):
        await forecast.current("Rome")
    assert forecast.asked == ["Oslo", "Rome"]


@pytest.mark.parametrize("name", ["Atlantis", "", "42"])
async def test_the_twin_too_does_not_know_every_place(name: str) -> None:
    with pytest.raises(UnknownPlace):
        await ScriptedForecast().current(name)


async def test_the_twin_can_take_its_time(autojump_clock: MockClock) -> None:
    began = autojump_clock.current_time()
    await ScriptedForecast(pause=3.0).current("Oslo")
    assert autojump_clock.current_time() - began == 3.0
    with trio.move_on_after(1000) as scope:
        await ScriptedForecast(pause=math.inf).current("Oslo")
    assert scope.cancelled_caught


@given(st.text())
def test_made_up_weather_is_weather(name: str) -> None:
    weather = made_up(name)
    assert -30 <= weather.temperature <= 40
    assert 0 <= weather.humidity <= 100
    assert abs(weather.latitude) <= 60
    assert abs(weather.longitude) <= 180
