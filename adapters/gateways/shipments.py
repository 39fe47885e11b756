"""A tool call's parameters and a carrier's answers, each in the shape the other side wants. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from core.shipping import Address, Dimensions, LabelOrder, Parcel, Rate, Route

MAX_TEXT = 200
"""Characters of one part of an address."""
TOO_MUCH = 1_000_000
"""No parcel has such a weight or dimension, in pounds or inches."""


class Unfit(ValueError):
    """A parameter is not what it should be; the message names it."""


def label_order(parameters: Mapping[str, Any]) -> LabelOrder:
    """What `create_label` asks for. Raises Unfit."""
    return LabelOrder(
        _text(parameters, "carrier"),
        _text(parameters, "service_type"),
        _address(parameters, "shipper"),
        _address(parameters, "recipient"),
        _parcel(parameters),
    )


def route(parameters: Mapping[str, Any], origin: str, destination: str) -> Route:
    """What a request for rates asks for; `origin` and `destination` are what it calls its ZIP codes. Raises Unfit."""
    pickup = parameters.get("pickup_requested") or False
    if not isinstance(pickup, bool):
        raise Unfit("pickup_requested must be true or false")
    return Route(_zip(parameters, origin), _zip(parameters, destination), _parcel(parameters), pickup)


def options(rates: Sequence[Rate]) -> dict[str, Any]:
    """The payload of `quote_ready`. `fastest_option` is None where nothing is faster than the cheapest."""
    cheapest = min(rates, key=lambda rate: (rate.cost, rate.transit_days))
    fastest = min(rates, key=lambda rate: (rate.transit_days, rate.cost))
    shown: dict[str, Any] = {
        "cheapest_option": cheapest,
        "fastest_option": fastest if fastest.transit_days < cheapest.transit_days else None,
        "all_options": list(rates),
    }
    return dict(msgspec.to_builtins(shown))


def quotes(rates: Sequence[Rate]) -> list[dict[str, Any]]:
    """The result of `get_shipping_quotes`."""
    return [
        {"carrier": rate.carrier, "service": rate.service_name, "price": rate.cost, "eta": _days(rate.transit_days)}
        for rate in rates
    ]


def _days(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"


def _address(parameters: Mapping[str, Any], who: str) -> Address:
    name, street, city, state = (_text(parameters, f"{who}_{part}") for part in ("name", "street", "city", "state"))
    country = f"{who}_country"
    shown = "US" if parameters.get(country) in (None, "") else _text(parameters, country)
    return Address(name, street, city, state, _zip(parameters, f"{who}_zip"), shown)


def _parcel(parameters: Mapping[str, Any]) -> Parcel:
    sizes = parameters.get("dimensions")
    if sizes is None:
        return Parcel(_number(parameters, "weight", "weight"))
    if not isinstance(sizes, Mapping):
        raise Unfit("dimensions must be an object with length, width and height")
    length, width, height = (_number(sizes, side, f"dimensions.{side}") for side in ("length", "width", "height"))
    return Parcel(_number(parameters, "weight", "weight"), Dimensions(length, width, height))


def _text(parameters: Mapping[str, Any], name: str) -> str:
    text = parameters.get(name)
    if not isinstance(text, str) or not text.strip() or len(text) > MAX_TEXT:
        raise Unfit(f"{name} must be a text of at most {MAX_TEXT} characters")
    return text


def _zip(parameters: Mapping[str, Any], name: str) -> str:
    """A ZIP code that came as a number has lost the zeros it began with."""
    code = parameters.get(name)
    if isinstance(code, int) and not isinstance(code, bool) and 0 < code < 100_000:
        return f"{code:05}"
    return _text(parameters, name).strip()


def _number(parameters: Mapping[str, Any], name: str, shown: str) -> float:
    number = parameters.get(name)
    if isinstance(number, bool) or not isinstance(number, int | float) or not number > 0:  # nor is NaN
        raise Unfit(f"{shown} must be a number above 0")
    if number >= TOO_MUCH:
        raise Unfit(f"{shown} must be below {TOO_MUCH}")
    return float(number)
