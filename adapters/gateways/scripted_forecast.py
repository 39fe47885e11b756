"""The forecast without a network: every place has some weather, always the same."""

from __future__ import annotations

import math
import zlib
from collections import deque
from collections.abc import Mapping

import trio

from adapters.gateways.skies import SKIES, sky
from core.ports import ForecastFailure, UnknownPlace, Weather

NOWHERE = frozenset({"atlantis", "el dorado", "nowhere", "utopia"})
"""What nobody finds, here as elsewhere."""
MOST_REMEMBERED = 100
"""Places it remembers that it was asked for: a server without a key asks it for years."""
_CODES = tuple(code for code in SKIES if code < 70)


class ScriptedForecast:
    """`core.ports.Forecast`: what `script` says of a place (by its name in lower case), else what its name makes up.

    Each answer takes `pause` seconds; math.inf is for ever. `asked` are the last places it was asked for, in order.
    """

    def __init__(self, script: Mapping[str, Weather | ForecastFailure] | None = None, *, pause: float = 0.0) -> None:
        self._asked = deque[str](maxlen=MOST_REMEMBERED)
        self._script = dict(script or {})
        self._pause = pause

    @property
    def name(self) -> str:
        return "scripted-forecast"

    @property
    def asked(self) -> list[str]:
        return list(self._asked)

    async def current(self, place: str) -> Weather:
        """See the port."""
        self._asked.append(place)
        await trio.sleep(self._pause)
        name = " ".join(place.split())
        scripted = self._script.get(name.casefold())
        if isinstance(scripted, ForecastFailure):
            raise scripted
        if scripted is None and (name.casefold() in NOWHERE or not any(map(str.isalpha, name))):
            raise UnknownPlace(f"nobody knows a place called {name!r}")
        return scripted or made_up(name)


def made_up(place: str) -> Weather:
    """Plausible weather, the same for the same name: nothing here knows what it is really like there."""
    number = zlib.crc32(place.casefold().encode("utf-8", "replace"))
    latitude, longitude = number % 12_000 / 100 - 60, number // 7 % 36_000 / 100 - 180
    temperature = round(30 * math.cos(math.radians(latitude)) + number // 11 % 100 / 10 - 5, 1)
    code = _CODES[number // 13 % len(_CODES)]
    return Weather(
        location=place,
        country="",
        latitude=round(latitude, 2),
        longitude=round(longitude, 2),
        temperature=temperature,
        apparent_temperature=round(temperature - number // 17 % 40 / 10, 1),
        humidity=float(30 + number // 19 % 65),
        precipitation=round(number // 23 % 60 / 10, 1) if code > 50 else 0.0,
        wind_speed=round(number // 29 % 400 / 10, 1),
        conditions=sky(code),
        observed_at="2026-01-01T12:00",
    )
