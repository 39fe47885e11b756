"""The model server's sister: it is asked for places and their weather, by GET."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from urllib.parse import parse_qs, urlsplit

import msgspec

from tests.adapters.gateways.model_server import FOREVER, ModelServer, Move, refusal, run

__all__ = ["FOREVER", "MAKATI", "NOWHERE", "SUNNY", "WeatherServer", "answer", "place", "serving"]


class WeatherServer(ModelServer):
    @property
    def geocoding_url(self) -> str:
        return f"{self.url}/search"

    @property
    def forecast_url(self) -> str:
        return f"{self.url}/forecast"

    @property
    def targets(self) -> list[str]:
        return [request.split(b" ")[1].decode() for request in self.requests]

    @property
    def queries(self) -> list[dict[str, str]]:
        return [{name: values[0] for name, values in parse_qs(urlsplit(it).query).items()} for it in self.targets]


def serving(*answers: Sequence[Move]) -> AbstractAsyncContextManager[WeatherServer]:
    return run(WeatherServer(*answers))


def answer(content: object, status: str = "200 OK", *headers: str) -> bytes:
    """A whole answer with this JSON."""
    return refusal(status, *headers, body=content if isinstance(content, bytes) else msgspec.json.encode(content))


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
