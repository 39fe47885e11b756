"""The carrier that needs no network: the example tariff, and labels drawn here."""

from __future__ import annotations

from collections.abc import Sequence

import trio
from msgspec.structs import replace

from adapters.gateways import tariff
from adapters.gateways.label_sheets import draw_qr, draw_sheet, qr_text
from adapters.gateways.tracking import tracking_number
from core.ports import CarrierFailure, Clock
from core.shipping import Label, LabelOrder, Rate, Route


class EmbeddedCarrier:
    """`core.ports.Carrier` without a carrier. The tracking number comes of the idempotency key alone."""

    name = "embedded"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def rates(self, route: Route) -> Sequence[Rate]:
        await trio.lowlevel.checkpoint()
        return tariff.rates(route, self._clock.now())

    async def label(self, order: LabelOrder, key: str) -> Label:
        """Drawing takes some milliseconds, and loading what draws a second: a thread's work."""
        service = tariff.level_of(order.carrier, order.service_type)
        if (pounds := tariff.billable_pounds(order.parcel)) > service.most:
            reason = f"{service.carrier} {service.name} takes parcels up to {service.most} lb, not {pounds} lb"
            raise CarrierFailure(reason)
        zone = tariff.zone_between(order.shipper.zip, order.recipient.zip)
        delivery = tariff.delivery(self._clock.now(), service.transit_days(zone))
        order = replace(order, carrier=service.carrier)
        return await trio.to_thread.run_sync(_draw, order, service.name, delivery, tracking_number(order.carrier, key))


def _draw(order: LabelOrder, service: str, delivery: str, tracking: str) -> Label:
    qr = draw_qr(qr_text(tracking, order))
    return Label(tracking, order.carrier, delivery, draw_sheet(order, tracking, service, delivery, qr), qr)
