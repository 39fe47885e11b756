"""What a carrier is asked and what it answers. Weights are in pounds, lengths in inches, prices in US dollars."""

from __future__ import annotations

from msgspec import Struct


class Dimensions(Struct, frozen=True, gc=False):
    length: float
    width: float
    height: float


class Parcel(Struct, frozen=True, gc=False):
    weight: float
    dimensions: Dimensions | None = None


class Address(Struct, frozen=True, gc=False):
    name: str
    street: str
    city: str
    state: str
    zip: str
    country: str = "US"


class Route(Struct, frozen=True, gc=False):
    """A parcel on its way from one ZIP code to another; `pickup`: it is to be fetched."""

    origin_zip: str
    destination_zip: str
    parcel: Parcel
    pickup: bool = False


class Rate(Struct, frozen=True, gc=False):
    """One service's offer. `estimated_delivery` is ISO 8601 in UTC, `transit_days` are business days."""

    carrier: str
    service_name: str
    service_tier: str
    cost: float
    estimated_delivery: str
    transit_days: int


class LabelOrder(Struct, frozen=True, gc=False):
    carrier: str
    service_type: str
    shipper: Address
    recipient: Address
    parcel: Parcel


class Label(Struct, frozen=True, gc=False):
    """A label as it was bought: the sheet to print (PDF) and its QR code (PNG)."""

    tracking_number: str
    carrier: str
    estimated_delivery: str
    pdf: bytes
    qr: bytes
