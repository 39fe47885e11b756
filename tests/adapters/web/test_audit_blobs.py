"""The bytes that events name, as auditors are given them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256

import pytest

from adapters.gateways.blobs import MemoryBlobs
from core.audit import Accessed
from eventstore.memory import MemoryStore
from tests.adapters.web.test_audit import Office, opened

SOUND = b"RIFF\x00<script>alert(1)</script>"
NAMED = sha256(SOUND).hexdigest()
PATH = f"/api/audit/blobs/{NAMED}"


@dataclass
class Stocked:
    office: Office
    blobs: MemoryBlobs


@pytest.fixture
async def stocked() -> AsyncIterator[Stocked]:
    """An office where a sound is kept."""
    blobs = MemoryBlobs()
    await blobs.put(SOUND)
    async with opened(MemoryStore(), "memory:", blobs) as office:
        yield Stocked(office, blobs)


async def test_bytes_are_given_as_what_the_event_says_they_are_and_that_is_on_record(stocked: Stocked) -> None:
    answer = await stocked.office.get(PATH, type="audio/wav")
    assert await answer.get_data(as_text=False) == SOUND
    assert answer.content_type == "audio/wav"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "sandbox"
    assert answer.headers["Cache-Control"] == "no-store"
    (access,) = await stocked.office.accesses()
    assert (access.event, access.stamp.principal) == (Accessed("blob", {"sha256": NAMED}, 1, 0), "ada")


@pytest.mark.parametrize(
    ("type", "given"),
    [
        ("image/png", "image/png"),
        ("application/pdf", "application/pdf"),
        ("AUDIO/Ogg", "audio/ogg"),
        ("audio/x-wav;codecs=1", "application/octet-stream"),
        ("text/html", "application/octet-stream"),
        ("image/svg+xml", "application/octet-stream"),
        ("audio/wav\r\nSet-Cookie: a=b", "application/octet-stream"),
        ("audio/wav\n", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
async def test_nothing_is_given_that_a_browser_would_run(stocked: Stocked, type: str, given: str) -> None:
    answer = await stocked.office.get(PATH, type=type)
    assert (answer.status_code, answer.content_type) == (200, given)
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("name", ["0" * 64, "x" * 64, "00", "..", "%2e%2e%2fkeys", NAMED.upper(), f"{NAMED}.wav"])
async def test_what_is_not_there_or_no_digest_is_not_found(stocked: Stocked, name: str) -> None:
    status, body = await stocked.office.ask(f"/api/audit/blobs/{name}")
    assert status == 404, body
    notes = [record.event.question for record in await stocked.office.accesses()]
    assert notes == ([{"sha256": name}] if name == "0" * 64 else [])


async def test_what_was_removed_is_not_given_any_more(stocked: Stocked) -> None:
    await stocked.blobs.remove(NAMED)
    assert (await stocked.office.ask(PATH))[0] == 404


async def test_only_auditors_and_operators_are_given_anything(stocked: Stocked) -> None:
    assert (await stocked.office.get(PATH, role="client")).status_code == 403
    assert await stocked.office.accesses() == []
    assert (await stocked.office.get(PATH, role="operator")).status_code == 200
    assert (await stocked.office.ask(PATH, type="x" * 101))[0] == 422
