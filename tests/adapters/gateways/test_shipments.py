from __future__ import annotations

from typing import Any

import pytest

from adapters.gateways.shipments import Unfit, label_order, options, quotes, route
from core.shipping import Address, Dimensions, LabelOrder, Parcel, Rate, Route

CHEAP = Rate("USPS", "Ground Advantage", "ground", 9.5, "2025-01-10T12:00:00Z", 5)
FAST = Rate("UPS", "Next Day Air", "express", 42.0, "2025-01-06T12:00:00Z", 1)
ROUTE: dict[str, Any] = {"from_zip": "89501", "to_zip": "04530", "weight": 5}
PARAMETERS: dict[str, Any] = {
    "carrier": "UPS", "service_type": "Ground", "weight": 5,
    "shipper_name": "Ann", "shipper_street": "1 A St", "shipper_city": "Reno", "shipper_state": "NV",
    "shipper_zip": "89501",
    "recipient_name": "Bob", "recipient_street": "2 B St", "recipient_city": "Bath", "recipient_state": "ME",
    "recipient_zip": 4530, "recipient_country": "US",
}  # fmt: skip


def test_a_label_order_is_read_from_a_tools_parameters() -> None:
    assert label_order(PARAMETERS | {"dimensions": {"length": 1, "width": 2.5, "height": 3}}) == LabelOrder(
        "UPS",
        "Ground",
        Address("Ann", "1 A St", "Reno", "NV", "89501"),
        Address("Bob", "2 B St", "Bath", "ME", "04530"),
        Parcel(5, Dimensions(1, 2.5, 3)),
    )


def test_a_route_is_read_under_the_names_the_asker_uses() -> None:
    asked = ROUTE | {"pickup_requested": True, "dimensions": None}
    assert route(asked, "from_zip", "to_zip") == Route("89501", "04530", Parcel(5), pickup=True)


@pytest.mark.parametrize(
    ("spoilt", "named"),
    [
        ({"from_zip": None}, "from_zip must be a text"),
        ({"from_zip": "9" * 201}, "from_zip must be a text"),
        ({"to_zip": ["04530"]}, "to_zip must be a text"),
        ({"weight": float("nan")}, "weight must be a number above 0"),
        ({"weight": 10**400}, "weight must be below 1000000"),
        ({"pickup_requested": "yes"}, "pickup_requested must be true or false"),
        ({"dimensions": [1, 2, 3]}, "dimensions must be an object"),
        ({"dimensions": {"length": 1, "width": 2}}, "dimensions.height must be a number above 0"),
        ({"dimensions": {"length": 1, "width": 2, "height": -3}}, "dimensions.height must be a number above 0"),
    ],
)
def test_what_is_wrong_with_a_route_is_named(spoilt: dict[str, Any], named: str) -> None:
    with pytest.raises(Unfit, match=named):
        route(ROUTE | spoilt, "from_zip", "to_zip")


@pytest.mark.parametrize("name", ["carrier", "shipper_city", "recipient_country"])
def test_what_is_wrong_with_a_label_is_named(name: str) -> None:
    with pytest.raises(Unfit, match=f"{name} must be a text"):
        label_order(PARAMETERS | {name: 7})


def test_the_cheapest_and_the_fastest_are_picked_out_of_all() -> None:
    shown = options([FAST, CHEAP])
    assert shown["cheapest_option"]["service_name"] == "Ground Advantage"
    assert shown["fastest_option"] == {
        "carrier": "UPS", "service_name": "Next Day Air", "service_tier": "express", "cost": 42.0,
        "estimated_delivery": "2025-01-06T12:00:00Z", "transit_days": 1,
    }  # fmt: skip
    assert [option["cost"] for option in shown["all_options"]] == [42.0, 9.5]


def test_there_is_no_fastest_option_where_the_cheapest_is_as_fast() -> None:
    assert options([CHEAP])["fastest_option"] is None


def test_a_tools_quotes_say_days_in_words() -> None:
    assert quotes([CHEAP, FAST]) == [
        {"carrier": "USPS", "service": "Ground Advantage", "price": 9.5, "eta": "5 days"},
        {"carrier": "UPS", "service": "Next Day Air", "price": 42.0, "eta": "1 day"},
    ]
