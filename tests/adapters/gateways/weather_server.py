"""A weather server in a few lines: HTTP/1.1 over real sockets, doing what it is told."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import msgspec
import trio

Move = bytes | float
"""What the server does next in an answer: send these bytes, or wait so many seconds. At the end it closes."""

FOREVER = math.inf


class WeatherServer:
    """Answers the n-th request with the n-th of `answers`, the last one for all that follow."""

    def __init__(self, *answers: Sequence[Move]) -> None:
        self.answers = answers
        self.targets: list[str] = []
        self.port = 0
        self.open_connections = 0
        self.was_left = trio.Event()

    @property
    def geocoding_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/search"

    @property
    def forecast_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/forecast"

    @property
    def queries(self) -> list[dict[str, str]]:
        return [{name: values[0] for name, values in parse_qs(urlsplit(it).query).items()} for it in self.targets]

    async def serve(self, stream: trio.SocketStream) -> None:
        self.open_connections += 1
        try:
            async with stream:
                request = b""
                while b"\r\n\r\n" not in request:
                    request += await stream.receive_some()
                self.targets.append(request.split(b" ")[1].decode())
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_watch, stream, nursery.cancel_scope)
                    await _play(stream, self.answers[min(len(self.targets), len(self.answers)) - 1])
                    nursery.cancel_scope.cancel()
        finally:
            self.open_connections -= 1
            self.was_left.set()


async def _play(stream: trio.SocketStream, moves: Sequence[Move]) -> None:
    for move in moves:
        match move:
            case bytes():
                await stream.send_all(move)
            case _:
                await trio.sleep(move)


async def _watch(stream: trio.SocketStream, scope: trio.CancelScope) -> None:
    try:
        await stream.receive_some()
    except trio.BrokenResourceError:
        pass  # the client went away without a word, which is as good as a close
    scope.cancel()


@asynccontextmanager
async def serving(*answers: Sequence[Move]) -> AsyncIterator[WeatherServer]:
    server = WeatherServer(*answers)
    async with trio.open_nursery() as nursery:
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        server.port = listener.socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, server.serve, [listener])
        yield server
        nursery.cancel_scope.cancel()


def answer(content: object, status: str = "200 OK", *headers: str) -> bytes:
    """A whole answer with this JSON."""
    body = content if isinstance(content, bytes) else msgspec.json.encode(content)
    lines = [f"HTTP/1.1 {status}", "content-type: application/json", f"content-length: {len(body)}", *headers]
    return "\r\n".join([*lines, "connection: close", "", ""]).encode() + body


def place(name: str, country: str, code: str, latitude: float, longitude: float) -> dict[str, object]:
    return {
        "id": 1,
        "name": name,
        "country": country,
        "country_code": code,
        "latitude": latitude,
        "longitude": longitude,
    }


MAKATI = answer({"results": [place("Makati City", "Philippines", "PH", 14.55, 121.03)], "generationtime_ms": 0.7})
NOWHERE = answer({"generationtime_ms": 0.7})
SUNNY = answer(
    {
        "latitude": 14.5, "longitude": 121.0, "timezone": "Asia/Manila",
        "current_units": {"temperature_2m": "°C"},
        "current": {
            "time": "2026-03-01T14:00", "interval": 900, "temperature_2m": 30.14, "apparent_temperature": 34.5,
            "relative_humidity_2m": 70, "precipitation": 0.0, "weather_code": 2, "wind_speed_10m": 11.2,
        },
    }
)  # fmt: skip
