"""An example tariff: plausible prices of three US carriers, made up for this project. Nobody sells at these prices.

Zones go by the distance between the regions of the ZIP codes' first digits; the billable weight is the greater of the
actual and the dimensional weight (inches³ / 139), in whole pounds, as the carriers' own rules have it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from core.ports import CarrierFailure
from core.shipping import Parcel, Rate, Route

DIMENSIONAL_DIVISOR = 139
PICKUP_FEE = 5.00
FAR_ZONE = 9
"""Alaska, Hawaii, the territories."""

_CENTRES = (
    (42.5, -72.0), (41.5, -75.5), (37.0, -78.5), (31.5, -84.0), (40.5, -84.5),
    (44.5, -95.0), (39.5, -92.0), (32.0, -95.5), (40.0, -109.5), (39.0, -120.0),
)  # fmt: skip
"""Latitude and longitude of about the middle of each first digit's region."""
_ZONE_MILES = (150, 300, 600, 1000, 1400, 1800)
"""Up to so many miles for zones 2 to 7; 8 beyond."""
_GROUND_DAYS = {2: 1, 3: 2, 4: 3, 5: 3, 6: 4, 7: 5, 8: 5, 9: 7}
_FAR = re.compile(r"00[6-9]|96[7-9]|99[5-9]")
_EARTH_MILES = 3958.8


@dataclass(frozen=True, slots=True)
class Level:
    """One service level. A parcel costs `base` and, for each billable pound, `pound`, more with every zone.

    `days` None: it goes by the zone. `most` is the heaviest parcel it takes, in pounds.
    """

    carrier: str
    name: str
    tier: str
    base: float
    pound: float
    days: int | None
    most: int = 150

    def cost(self, zone: int, pounds: int) -> float:
        return round(self.base + self.pound * pounds * (1 + 0.12 * (zone - 2)), 2)

    def transit_days(self, zone: int) -> int:
        extra = 1 if zone == FAR_ZONE else 0
        return _GROUND_DAYS[zone] if self.days is None else self.days + extra


SERVICES = (
    Level("UPS", "Ground", "ground", 8.90, 0.62, None),
    Level("UPS", "2nd Day Air", "expedited", 17.40, 1.95, 2),
    Level("UPS", "Next Day Air", "express", 32.80, 3.40, 1),
    Level("FedEx", "Ground", "ground", 9.10, 0.60, None),
    Level("FedEx", "2Day", "expedited", 18.20, 1.88, 2),
    Level("FedEx", "Standard Overnight", "express", 31.50, 3.55, 1),
    Level("USPS", "Ground Advantage", "ground", 5.60, 0.88, None, most=70),
    Level("USPS", "Priority Mail", "expedited", 8.30, 1.24, 3, most=70),
    Level("USPS", "Priority Mail Express", "express", 28.75, 2.95, 1, most=70),
)


def rates(route: Route, now: int) -> list[Rate]:
    """What every service that takes the parcel asks, cheapest first; `now` is µs UTC. Raises CarrierFailure."""
    zone, pounds = zone_between(route.origin_zip, route.destination_zip), billable_pounds(route.parcel)
    offers = [_rate(service, zone, pounds, now, route) for service in SERVICES if pounds <= service.most]
    if not offers:
        raise CarrierFailure(f"no service takes a parcel of {pounds} lb")
    return sorted(offers, key=lambda rate: (rate.cost, rate.transit_days))


def _rate(service: Level, zone: int, pounds: int, now: int, route: Route) -> Rate:
    cost = round(service.cost(zone, pounds) + (PICKUP_FEE if route.pickup else 0), 2)
    days = service.transit_days(zone)
    return Rate(service.carrier, service.name, service.tier, cost, delivery(now, days), days)


def billable_pounds(parcel: Parcel) -> int:
    """Whole pounds, at least one."""
    size = parcel.dimensions
    volume = size.length * size.width * size.height if size is not None else 0.0
    return max(1, math.ceil(max(parcel.weight, volume / DIMENSIONAL_DIVISOR)))


def zone_between(origin: str, destination: str) -> int:
    """2 (near) to 9, of two ZIP codes. Raises CarrierFailure for what is none."""
    origin, destination = _zip_of(origin), _zip_of(destination)
    if _FAR.match(origin) or _FAR.match(destination):
        return 2 if origin[:3] == destination[:3] else FAR_ZONE
    if origin[:3] == destination[:3]:
        return 2
    if origin[0] == destination[0]:
        return 3
    miles = _miles(_CENTRES[int(origin[0])], _CENTRES[int(destination[0])])
    return next((zone for zone, most in enumerate(_ZONE_MILES, start=2) if miles <= most), 8)


def _zip_of(text: str) -> str:
    if not re.fullmatch(r"[0-9]{5}(-?[0-9]{4})?", text):
        raise CarrierFailure(f"{text[:20]!r} is not a US ZIP code")
    return text


def _miles(one: tuple[float, float], other: tuple[float, float]) -> float:
    """The great circle's length, by the haversine formula."""
    (latitude, longitude), (latitude2, longitude2) = (map(math.radians, place) for place in (one, other))
    a = (
        math.sin((latitude2 - latitude) / 2) ** 2
        + math.cos(latitude) * math.cos(latitude2) * math.sin((longitude2 - longitude) / 2) ** 2
    )
    return 2 * _EARTH_MILES * math.asin(math.sqrt(a))


def level_of(carrier: str, service_type: str) -> Level:
    """The service meant: by its name, with or without the carrier's, or by its tier. Raises CarrierFailure."""
    offered = [service for service in SERVICES if _bare(service.carrier) == _bare(carrier)]
    if not offered:
        known = ", ".join(dict.fromkeys(service.carrier for service in SERVICES))
        raise CarrierFailure(f"unknown carrier {carrier[:40]!r}; there are {known}")
    wanted = _bare(service_type)
    for service in offered:
        if wanted in {_bare(service.name), _bare(service.carrier + service.name), _bare(service.tier)}:
            return service
    known = ", ".join(service.name for service in offered)
    raise CarrierFailure(f"unknown service {service_type[:40]!r} of {offered[0].carrier}; there are {known}")


def _bare(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())


def delivery(now: int, business_days: int) -> str:
    """Noon UTC after so many business days from `now`, µs UTC since the epoch, as ISO 8601."""
    day = date_of(now)
    while business_days > 0:
        day += timedelta(days=1)
        business_days -= day.weekday() < 5
    return f"{day.isoformat()}T12:00:00Z"


def date_of(now: int) -> date:
    return datetime.fromtimestamp(now // 1_000_000, UTC).date()
