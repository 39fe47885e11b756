"""The example tariff, the tracking numbers, and labels one can open and scan."""

from __future__ import annotations

import io

import pytest
import segno

from adapters.gateways import tariff
from adapters.gateways.embedded_carrier import EmbeddedCarrier
from adapters.gateways.label_sheets import draw_qr
from adapters.gateways.tracking import fedex_check, tracking_number, ups_check, usps_check
from core.ports import CarrierFailure
from core.shipping import Address, Dimensions, Label, LabelOrder, Parcel, Route

FRIDAY = 1_735_862_400_000_000
SHIPPER = Address("Ann Archer", "1 Market St", "San Francisco", "CA", "94105")
RECIPIENT = Address("José Núñez", "350 5th Ave", "New York", "NY", "10118")
ORDER = LabelOrder("fedex", "FEDEX_GROUND", SHIPPER, RECIPIENT, Parcel(5, Dimensions(12, 10, 8)))


class Stopped:
    def now(self) -> int:
        return FRIDAY


CARRIER = EmbeddedCarrier(Stopped())


@pytest.mark.parametrize(
    ("origin", "destination", "zone"),
    [
        ("94105", "94110", 2),
        ("94105", "90001", 3),
        ("10001", "02139", 3),
        ("10118", "33101", 5),
        ("94105", "10118", 8),
        ("94105-1234", "99501", 9),
        ("00901", "33101", 9),
        ("99501", "99502", 2),
    ],
)
def test_zones_go_by_the_zip_codes_first_digits(origin: str, destination: str, zone: int) -> None:
    assert tariff.zone_between(origin, destination) == zone
    assert tariff.zone_between(destination, origin) == zone


@pytest.mark.parametrize(
    ("parcel", "pounds"),
    [
        (Parcel(0.2), 1),
        (Parcel(5), 5),
        (Parcel(5.01), 6),
        (Parcel(2, Dimensions(20, 20, 20)), 58),
        (Parcel(60, Dimensions(20, 20, 20)), 60),
        (Parcel(1, Dimensions(139, 1, 1)), 1),
    ],
)
def test_the_greater_of_weight_and_dimensional_weight_is_billed(parcel: Parcel, pounds: int) -> None:
    assert tariff.billable_pounds(parcel) == pounds


async def test_rates_are_of_three_carriers_and_three_levels_cheapest_first() -> None:
    rates = await CARRIER.rates(Route("94105", "10118", Parcel(5)))
    assert {rate.carrier for rate in rates} == {"UPS", "FedEx", "USPS"}
    assert {rate.service_tier for rate in rates} == {"ground", "expedited", "express"}
    assert [rate.cost for rate in rates] == sorted(rate.cost for rate in rates)
    assert len(rates) == 9


async def test_a_pickup_costs_a_fee_and_distance_and_weight_cost_more() -> None:
    near = await CARRIER.rates(Route("94105", "94110", Parcel(5)))
    fetched = await CARRIER.rates(Route("94105", "94110", Parcel(5), pickup=True))
    assert [round(more.cost - less.cost, 2) for more, less in zip(fetched, near, strict=True)] == [5.0] * 9
    far = await CARRIER.rates(Route("94105", "10118", Parcel(5)))
    heavy = await CARRIER.rates(Route("94105", "94110", Parcel(6)))
    assert near[0].cost < heavy[0].cost
    assert near[0].cost < far[0].cost


async def test_what_only_some_take_is_offered_by_those_alone_and_too_much_by_nobody() -> None:
    assert {rate.carrier for rate in await CARRIER.rates(Route("94105", "10118", Parcel(100)))} == {"UPS", "FedEx"}
    with pytest.raises(CarrierFailure, match="no service takes a parcel of 151 lb"):
        await CARRIER.rates(Route("94105", "10118", Parcel(151)))


async def test_what_is_no_zip_code_is_named() -> None:
    with pytest.raises(CarrierFailure, match="'SW1A 1AA' is not a US ZIP code"):
        await CARRIER.rates(Route("94105", "SW1A 1AA", Parcel(5)))


def test_deliveries_skip_weekends() -> None:
    assert tariff.delivery(FRIDAY, 1) == "2025-01-06T12:00:00Z"
    assert tariff.delivery(FRIDAY, 6) == "2025-01-13T12:00:00Z"


@pytest.mark.parametrize("wanted", ["GROUND", "Ground", "FEDEX_GROUND", "fedex ground"])
def test_a_service_is_found_by_its_name_its_carriers_too_or_its_tier(wanted: str) -> None:
    assert tariff.level_of("FedEx", wanted).name == "Ground"


async def test_an_unknown_carrier_and_an_unknown_service_are_told_what_there_is() -> None:
    with pytest.raises(CarrierFailure, match="unknown carrier 'DHL'; there are UPS, FedEx, USPS"):
        tariff.level_of("DHL", "ground")
    with pytest.raises(CarrierFailure, match="unknown service 'Freight' of UPS; there are Ground, 2nd Day Air"):
        tariff.level_of("ups", "Freight")


def test_tracking_numbers_have_their_carriers_shapes_and_check_digits() -> None:
    assert tracking_number("UPS", "k").startswith("1Z")
    assert [len(tracking_number(carrier, "k")) for carrier in ("UPS", "FedEx", "USPS")] == [18, 12, 22]
    assert tracking_number("UPS", "k") != tracking_number("UPS", "l")


def test_a_check_digit_is_that_of_published_examples() -> None:
    assert ups_check("999AA1012345678") == 4
    assert fedex_check("98657878885") == 5
    assert usps_check("940011189922319742849") == 7


@pytest.fixture
async def label() -> Label:
    return await CARRIER.label(ORDER, "key")


async def test_the_same_key_gives_the_same_label_to_the_byte(label: Label) -> None:
    assert await CARRIER.label(ORDER, "key") == label
    assert (await CARRIER.label(ORDER, "other")).tracking_number != label.tracking_number


async def test_the_sheet_is_a_pdf_that_says_who_what_and_where(label: Label) -> None:
    assert label.pdf.startswith(b"%PDF-")
    assert label.pdf.rstrip().endswith(b"%%EOF")
    for text in (label.tracking_number, "FedEx Ground", "Ann Archer", "San Francisco, CA 94105", "350 5th Ave", "5 lb"):
        assert text.encode() in label.pdf


async def test_a_reader_finds_one_page_of_four_by_six_inches_with_its_text_and_picture(label: Label) -> None:
    pypdf = pytest.importorskip("pypdf")
    (page,) = pypdf.PdfReader(io.BytesIO(label.pdf)).pages
    assert (float(page.mediabox.width), float(page.mediabox.height)) == (288.0, 432.0)
    assert {"José Núñez", "New York, NY 10118", label.tracking_number} <= set(page.extract_text().splitlines())
    assert len(page.images) == 1


async def test_the_qr_code_holds_the_tracking_number(label: Label) -> None:
    text = f"FedEx {label.tracking_number} 94105>10118"
    drawn = io.BytesIO()
    segno.make_qr(text, error="q").save(drawn, kind="png", scale=8, border=4)
    assert label.qr == drawn.getvalue()
    assert label.qr == draw_qr(text)


async def test_a_scanner_reads_the_qr_code_alone_and_off_the_sheet(label: Label) -> None:
    zxingcpp = pytest.importorskip("zxingcpp")
    pypdf = pytest.importorskip("pypdf")
    from PIL import Image

    text = f"FedEx {label.tracking_number} 94105>10118"
    (page,) = pypdf.PdfReader(io.BytesIO(label.pdf)).pages
    for picture in (label.qr, page.images[0].data):
        with Image.open(io.BytesIO(picture)) as image:
            assert [code.text for code in zxingcpp.read_barcodes(image.convert("L"))] == [text]


async def test_letters_the_sheet_has_not_lose_their_marks_or_become_question_marks() -> None:
    strange = Address("Łukasz Żółć 李\n\x07", "x" * 500, "Kraków (old)\\", "PL", "94105")
    label = await CARRIER.label(LabelOrder("USPS", "Priority Mail", strange, RECIPIENT, Parcel(1)), "k")
    assert b"?ukasz Z\xf3?c ? ?" in label.pdf
    assert label.pdf.rstrip().endswith(b"%%EOF")


async def test_a_parcel_too_heavy_for_the_service_gets_no_label() -> None:
    order = LabelOrder("USPS", "ground", SHIPPER, RECIPIENT, Parcel(80))
    with pytest.raises(CarrierFailure, match="USPS Ground Advantage takes parcels up to 70 lb, not 80 lb"):
        await CARRIER.label(order, "k")
