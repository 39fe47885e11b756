"""The label as a sheet of 4 by 6 inches (PDF), and its QR code (PNG). The libraries are loaded when first drawn with.

The sheet's fonts know Latin-1: other letters lose their marks, or become question marks. What is drawn depends on
what is asked alone, so the same label has the same bytes, and so the same digest, however often it is drawn.
"""

from __future__ import annotations

import io
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from core.shipping import Address, LabelOrder

if TYPE_CHECKING:
    from fpdf import FPDF

WIDTH, HEIGHT, MARGIN = 4.0, 6.0, 0.2
"""Inches."""
NOTICE = "Example label of Callboard's example tariff. No postage was paid."


def draw_qr(text: str) -> bytes:
    """`text` as a QR code with a quarter of it redundant, a PNG of 8 pixels a module and the border readers need."""
    import segno

    image = io.BytesIO()
    segno.make_qr(text, error="q").save(image, kind="png", scale=8, border=4)
    return image.getvalue()


def qr_text(tracking_number: str, order: LabelOrder) -> str:
    """What a scanner reads."""
    return f"{order.carrier} {tracking_number} {order.shipper.zip}>{order.recipient.zip}"


def draw_sheet(order: LabelOrder, tracking_number: str, service: str, delivery: str, qr: bytes) -> bytes:
    """The sheet as PDF."""
    from fpdf import FPDF

    sheet = FPDF(unit="in", format=(WIDTH, HEIGHT))
    sheet.set_compression(False)
    sheet.set_creation_date(datetime(2000, 1, 1, tzinfo=UTC))
    sheet.set_title(f"Shipping label {tracking_number}")
    sheet.set_margins(MARGIN, MARGIN)
    sheet.set_auto_page_break(False)
    sheet.add_page()
    sheet.image(io.BytesIO(qr), x=WIDTH - MARGIN - 1.3, y=3.9, w=1.3, h=1.3)
    for top, size, text in _lines(order, tracking_number, service, delivery):
        sheet.set_font("Helvetica", style="B" if size > 10 else "", size=size)
        sheet.set_xy(MARGIN, top)
        _write_within(sheet, _latin(text), size)
    for top in (0.75, 1.85, 3.65, 5.4):
        sheet.line(MARGIN, top, WIDTH - MARGIN, top)
    return bytes(sheet.output())


def _write_within(sheet: FPDF, text: str, size: float) -> None:
    """One line, smaller where it is too long for the sheet, and cut where it would be unreadable."""
    room = WIDTH - 2 * MARGIN - 0.1
    while sheet.get_string_width(text) > room and size > 5:
        size -= 0.5
        sheet.set_font_size(size)
    while sheet.get_string_width(text) > room:
        text = text[: len(text) * 9 // 10]
    sheet.cell(w=room, h=0.2, text=text)


def _lines(order: LabelOrder, tracking: str, service: str, delivery: str) -> list[tuple[float, float, str]]:
    """Top (inches), size (points) and text of each line."""
    parcel, size = order.parcel, order.parcel.dimensions
    weight = f"{parcel.weight:g} lb"
    measures = f"{weight}   {size.length:g} x {size.width:g} x {size.height:g} in" if size is not None else weight
    return [
        (0.25, 20, f"{order.carrier} {service}"),
        (0.50, 8, measures),
        *_address_lines(0.85, 8, "FROM", order.shipper),
        *_address_lines(1.95, 12, "SHIP TO", order.recipient),
        (3.75, 8, "TRACKING NUMBER"),
        (5.10, 8, f"Deliver by {delivery[:10]}"),
        (5.45, 13, tracking),
        (5.72, 6, NOTICE),
    ]


def _address_lines(top: float, size: float, title: str, address: Address) -> list[tuple[float, float, str]]:
    place = f"{address.city}, {address.state} {address.zip}"
    texts = (address.name, address.street, place, address.country)
    step = size / 72 * 1.5
    return [(top, 7, title), *((top + 0.18 + n * step, size, text) for n, text in enumerate(texts))]


def _latin(text: str) -> str:
    """`text` in Latin-1, on one line."""
    line = " ".join(text.split())
    if not line.isascii():
        line = "".join(_latin_character(character) for character in unicodedata.normalize("NFC", line))
    return "".join(character if character.isprintable() else "?" for character in line)


def _latin_character(character: str) -> str:
    """Itself, or without its marks, or a question mark."""
    plain = "".join(mark for mark in unicodedata.normalize("NFKD", character) if not unicodedata.combining(mark))
    for candidate in (character, plain):
        try:
            candidate.encode("latin-1")
        except UnicodeEncodeError:
            continue
        return candidate
    return "?"
