"""The weather of Open-Meteo over HTTP: one request finds the place, a second one its weather. No key is needed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

import trio
from msgspec import DecodeError, Struct, json

from adapters.gateways.breaker import Breaker
from adapters.gateways.http_answers import read_up_to, tls_settings
from adapters.gateways.model_failures import retry_after_of
from adapters.gateways.retries import Retries
from adapters.gateways.skies import sky
from core.ports import ForecastFailure, UnknownPlace, Weather

if TYPE_CHECKING:
    import httpx

GEOCODING_URL = "https://geocoding-api.open-meteo.com/v1/search"
FORECAST_URL = "https://api.open-meteo.com/v1/forecast"
MAX_ANSWER = 1 << 20
"""Bytes an answer may have."""
MAX_PLACE = 200
"""Characters of a place's name that are asked for."""
_CURRENT = "temperature_2m,apparent_temperature,relative_humidity_2m,precipitation,weather_code,wind_speed_10m"

T = TypeVar("T")


class _Place(Struct):
    name: str
    latitude: float
    longitude: float
    country: str = ""
    country_code: str = ""
    admin1: str = ""


class _Places(Struct):
    results: list[_Place] = []


class _Current(Struct):
    time: str
    temperature_2m: float
    apparent_temperature: float
    relative_humidity_2m: float
    precipitation: float
    weather_code: int
    wind_speed_10m: float


class _Report(Struct):
    current: _Current


class _Complaint(Struct):
    reason: str = ""


class PassingForecastFailure(ForecastFailure):
    """A failure that may be gone at the next try."""


class RefusedRequest(ForecastFailure):
    """It works, but not for this question."""


class OpenMeteo:
    """`core.ports.Forecast`. Times are in seconds.

    Each request gets `timeout`, with its whole answer. A passing failure (no connection, 429, 5xx, a stall) is tried
    again, `attempts` times in all, after what the server asked for in Retry-After or else `backoff` doubled from try to
    try; a server that asks for more than `longest_wait` is not waited for. What fails on and on is left alone, as
    `breaker` has it. `jitter` gives 0 to 1.
    """

    def __init__(
        self,
        *,
        geocoding_url: str = GEOCODING_URL,
        forecast_url: str = FORECAST_URL,
        timeout: float = 5.0,
        attempts: int = 3,
        backoff: float = 0.3,
        longest_wait: float = 4.0,
        breaker: Breaker | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._geocoding_url, self._forecast_url = geocoding_url, forecast_url
        self._timeout, self._breaker = timeout, breaker or Breaker()
        self._retries = Retries(attempts, backoff, longest_wait, jitter)

    @property
    def name(self) -> str:
        return "open-meteo"

    async def current(self, place: str) -> Weather:
        """See the port."""
        place = " ".join(place.split())[:MAX_PLACE]
        if not place:
            raise UnknownPlace("no place was named")
        import httpx

        tls = await trio.to_thread.run_sync(tls_settings)
        async with httpx.AsyncClient(verify=tls, timeout=None) as client:  # noqa: S113  # Trio bounds each request
            found = await self._find(client, place)
            where = {"latitude": f"{found.latitude}", "longitude": f"{found.longitude}"}
            asked = where | {"current": _CURRENT, "timezone": "auto"}
            report = await self._get(client, self._forecast_url, asked, _Report)
        return _weather(found, report.current)

    async def _find(self, client: httpx.AsyncClient, place: str) -> _Place:
        name, _, region = place.partition(",")
        asked = {"name": name.strip(), "count": "10", "language": "en", "format": "json"}
        found = (await self._get(client, self._geocoding_url, asked, _Places)).results
        if not found:
            raise UnknownPlace(f"nobody knows a place called {place!r}")
        wanted = region.strip().casefold()
        return next((one for one in found if wanted and wanted in _regions(one)), found[0])

    async def _get(self, client: httpx.AsyncClient, url: str, asked: Mapping[str, str], shape: type[T]) -> T:
        """The answer, after as many tries as it takes and may take. Raises ForecastFailure."""
        tried = 0
        while True:
            try:
                return await self._try(client, url, asked, shape)
            except PassingForecastFailure as failure:
                tried += 1
                await self._wait_before_retry(tried, failure)

    async def _wait_before_retry(self, tried: int, failure: PassingForecastFailure) -> None:
        """Raises the failure instead when it is not worth another try."""
        pause = self._retries.pause(tried, failure.retry_after)
        if pause is None:
            raise failure
        await trio.sleep(pause)

    async def _try(self, client: httpx.AsyncClient, url: str, asked: Mapping[str, str], shape: type[T]) -> T:
        if wait := self._breaker.seconds_to_wait(trio.current_time()):
            raise ForecastFailure("the forecast has failed too often and is left alone for a while", wait)
        try:
            answer = _decoded(await self._ask(client, url, asked), shape)
        except RefusedRequest:
            self._breaker.succeeded()
            raise
        except ForecastFailure:
            self._breaker.failed(trio.current_time())
            raise
        except BaseException:  # cancelled
            self._breaker.abandoned(trio.current_time())
            raise
        self._breaker.succeeded()
        return answer

    async def _ask(self, client: httpx.AsyncClient, url: str, asked: Mapping[str, str]) -> bytes:
        import httpx

        try:
            with trio.fail_after(self._timeout):
                async with client.stream("GET", url, params=dict(asked)) as response:
                    content = await _read(response)
        except trio.TooSlowError:
            raise PassingForecastFailure(f"the forecast gave no whole answer within {self._timeout:g} s") from None
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise PassingForecastFailure(
                f"the forecast cannot be reached: {str(error) or type(error).__name__}"
            ) from error
        if response.status_code != 200:
            raise _refusal(response, content)
        return content


async def _read(response: httpx.Response) -> bytes:
    content = await read_up_to(response, MAX_ANSWER)
    if content is None:
        raise ForecastFailure("the forecast's answer is without end")
    return content


def _refusal(response: httpx.Response, content: bytes) -> ForecastFailure:
    retry_after = retry_after_of(response.headers, time.time())
    match response.status_code:
        case 429:
            return PassingForecastFailure("the forecast is asked too often (429)", retry_after)
        case status if status >= 500:
            return PassingForecastFailure(f"the forecast's server failed ({status})", retry_after)
        case status:
            return RefusedRequest(f"the forecast refused the request ({status}){_reason_in(content)}", retry_after)


def _reason_in(content: bytes) -> str:
    try:
        return f": {json.decode(content, type=_Complaint).reason[:200]}"
    except (DecodeError, UnicodeDecodeError):
        return ""


def _decoded(content: bytes, shape: type[T]) -> T:
    try:
        return json.decode(content, type=shape)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ForecastFailure(f"the forecast's answer makes no sense: {error}") from error


def _regions(place: _Place) -> set[str]:
    return {name.casefold() for name in (place.country, place.country_code, place.admin1)}


def _weather(place: _Place, now: _Current) -> Weather:
    return Weather(
        location=place.name,
        country=place.country,
        latitude=place.latitude,
        longitude=place.longitude,
        temperature=now.temperature_2m,
        apparent_temperature=now.apparent_temperature,
        humidity=now.relative_humidity_2m,
        precipitation=now.precipitation,
        wind_speed=now.wind_speed_10m,
        conditions=sky(now.weather_code),
        observed_at=now.time,
    )
