"""The audit view: what the log is asked, what is exported from it, what was refused, and what it can prove."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import Look
from tests.console.rig import Running, callboard

FOUND = "table[aria-label='Events found'] tbody tr.audit-row"


QUESTIONS: list[tuple[dict[str, str], dict[str, str]]] = [
    ({"Words": "sailing"}, {"text": "sailing"}),
    ({"Kind of stream": "call"}, {"category": "call"}),
    ({"Event": "call.described", "Words": "inbound"}, {"event": "call.described", "text": "inbound"}),
    ({"Stream": "channel-weather-update"}, {"stream": "channel-weather-update"}),
    ({"Rejected commands": "Only those"}, {"rejected": "true"}),
    ({"Before": "2001-01-01"}, {"until": "2001-01-01T00:00:00Z"}),
]


def test_a_question_finds_in_the_page_what_the_api_tells(look: Look, archive: Running) -> None:
    page = look(archive).open("#/audit")
    for fields, filters in QUESTIONS:
        page.get_by_role("link", name="Clear").click()
        expect(page.get_by_text("Ask the whole log")).to_be_visible()
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")  # drawn
        for label, value in fields.items():
            write(page, label, value)
        page.get_by_role("button", name="Search", exact=True).click()
        told = archive.told("/api/audit/events", newest_first="true", limit=50, **filters)["entries"]
        count = archive.told("/api/audit/events/count", **filters)["count"]
        expect(page.locator(".audit-count strong")).to_have_text(f"{count} event{'' if count == 1 else 's'}")
        expect(page.locator(FOUND)).to_have_count(len(told))
        shown = [place.get_attribute("title") for place in page.locator(f"{FOUND} .audit-place a").all()]
        assert shown == [f"{entry['stream']}@{entry['version']}" for entry in told]
    expect(page.get_by_text("Nothing meets all of that")).to_be_visible()


def write(page: Page, label: str, value: str) -> None:
    """Fill a field in, or choose."""
    control = page.get_by_label(label, exact=True)
    if control.evaluate("(it) => it.tagName") == "SELECT":
        control.select_option(value)
    else:
        control.fill(value)


def test_pages_follow_one_another_and_the_address_is_the_question(look: Look, archive: Running) -> None:
    page = look(archive).open("#/audit?newest_first=false")
    expect(page.locator(FOUND)).to_have_count(50)
    first = page.locator(f"{FOUND} .audit-place a").first
    expect(first).to_have_attribute("title", "conversation-01a1fe4a-0b25-7062-b75a-5964769a5b8e@1")
    page.get_by_role("button", name="Next page").click()
    expect(page.get_by_text("Page 2")).to_be_visible()
    page.get_by_role("button", name="Page before").click()
    expect(first).to_have_attribute("title", "conversation-01a1fe4a-0b25-7062-b75a-5964769a5b8e@1")


def test_what_is_wrong_with_a_question_is_said_at_its_field(look: Look, archive: Running) -> None:
    window = look(archive)
    window.announce("422")
    page = window.open("#/audit?since=yesterday")
    expect(page.get_by_label("Since", exact=True)).to_have_attribute("aria-invalid", "true")


def test_a_refused_command_is_shown_with_its_reason_and_leads_to_its_stream(look: Look, archive: Running) -> None:
    page = look(archive).open("#/audit")
    page.get_by_role("link", name="Rejected commands").click()
    row = page.locator(FOUND)
    expect(row).to_have_count(1)
    expect(row).to_contain_text("command.rejected")
    row.get_by_role("button").click()
    told = archive.told("/api/audit/events", rejected="true")["entries"][0]
    expect(page.locator(".audit-details")).to_contain_text(told["hash"])
    expect(page.locator(".audit-details")).to_contain_text(told["payload"]["message"])
    page.get_by_role("link", name="See it in its stream").click()
    page.wait_for_function("(end) => decodeURIComponent(location.hash).endsWith(end)", arg=f"@{told['version']}")


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_an_export_and_its_manifest_are_what_the_command_line_verifies(
    look: Look, archive: Running, tmp_path: Path, format: str
) -> None:
    page = look(archive).open("#/audit?category=call")
    page.get_by_text("Export all of it as a file").click()
    page.get_by_label("Format").select_option(format)
    with page.expect_download() as coming:
        page.get_by_role("button", name="Export", exact=True).click()
    file = tmp_path / coming.value.suggested_filename
    coming.value.save_as(file)
    expect(page.get_by_text("This browser computed the file's digest")).to_be_visible()
    with page.expect_download() as coming:
        page.get_by_role("button", name="Save the manifest").click()
    coming.value.save_as(tmp_path / coming.value.suggested_filename)
    assert file.suffix == f".{format}"
    assert "29 events" in callboard("audit", "export", str(file), "--verify")


def test_each_search_is_on_record(look: Look, archive: Running) -> None:
    page = look(archive).open("#/audit?text=brother")
    expect(page.locator(FOUND).first).to_be_visible()
    told = archive.told("/api/audit/events", event="audit.accessed", newest_first="true")["entries"]
    digest = sha256(b"brother").hexdigest()
    assert any(entry["payload"]["question"].get("text_sha256") == digest for entry in told)


def test_what_was_found_is_marked_and_one_comes_back_to_where_one_was(look: Look, archive: Running) -> None:
    window = look(archive)
    page = window.open("#/audit?text=sailing")
    marks = page.locator(f"{FOUND} mark")
    expect(marks.first).to_have_text("sailing")
    told = archive.told("/api/audit/events", text="sailing", newest_first="true", limit=50)["entries"]
    assert any("sailing" not in str(entry["payload"]).lower() for entry in told), "some have it in the command alone"
    expect(page.get_by_text("in its command").first).to_be_visible()
    page.evaluate("() => { location.hash = '#/audit?newest_first=true'; }")
    page.get_by_role("button", name="Next page").click()
    expect(page.get_by_text("Page 2")).to_be_visible()
    link = page.locator(f"{FOUND} .audit-place a").nth(20)
    link.hover()
    before = page.evaluate("() => scrollY")
    assert before > 0
    title = link.get_attribute("title")
    link.click()
    expect(page.locator(".state")).to_be_visible()
    page.go_back()
    expect(page.get_by_text("Page 2")).to_be_visible()
    expect(link).to_have_attribute("title", title or "")
    window.until(lambda: page.evaluate("() => scrollY") == before, f"one is at {before}")
