"""What somebody outside wrote to do harm is shown as what it is: text."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from core.identifiers import Category, StreamName
from tests.console.conftest import Look, Serve
from tests.console.logs import HOSTILE, NAMES, hostile_log
from tests.console.rig import NARROW, WIDE, Running, Traffic
from tests.console.test_accessibility import settled, sideways

INJECTED = """() => [
  ...document.querySelectorAll("img, iframe, object, embed, base, meta[http-equiv], script:not([src]), style"),
  ...document.querySelectorAll("[onerror], [onload], [onfocus], [onclick], [autofocus], [srcdoc]"),
  ...[...document.querySelectorAll("a[href]")].filter((link) => !["http:", "blob:"].includes(link.protocol)),
  ...[...document.querySelectorAll("h1")].filter((heading) => heading.textContent === "injected"),
].map((element) => element.outerHTML.slice(0, 200))"""


@pytest.fixture(scope="module")
def server(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Running:
    log = tmp_path_factory.mktemp("hostile") / "callboard.db"
    hostile_log(log)
    return serve(log)


def unharmed(page: Page) -> None:
    """Nothing of what is shown became a part of the page. What was said by dialogs or scripts the window notes."""
    assert page.evaluate(INJECTED) == []
    assert "taken" not in page.title()
    assert page.evaluate("() => document.body.dir || document.documentElement.dir") == ""


KINDS = Category.CONVERSATION, Category.SESSION, Category.CALL, Category.CHANNEL
STREAMS = [StreamName.of(category, name) for category, name in zip([*KINDS, *KINDS], NAMES, strict=False)]
"""Each name once, and each kind."""


@pytest.mark.parametrize("stream", STREAMS[:4])
def test_a_stream_is_shown_as_text_in_every_panel(look: Look, server: Running, stream: StreamName) -> None:
    page = look(server).open(f"#{quote(stream, safe='')}")
    settled(page)
    expect(page.get_by_role("heading", level=1)).to_have_attribute("title", stream)
    for tab in ("State", "Event", "Frames", "Causes"):
        page.get_by_role("tab", name=tab, exact=True).click()
        expect(page.get_by_role("tabpanel").locator("h3, .empty").first).to_be_visible()
        unharmed(page)
    page.set_viewport_size(NARROW)
    settled(page)
    assert sideways(page) == 0


def test_what_is_said_is_read_in_the_list_as_it_was_written(look: Look, server: Running) -> None:
    page = look(server).open(f"#{quote(STREAMS[0], safe='')}")
    settled(page)
    for at, text in enumerate(HOSTILE[:5], start=4 + 2 * len(HOSTILE)):
        page.get_by_role("slider", name="Version of the stream").fill(str(at))
        expect(page.locator(f".event-row[data-version='{at}'] .event-says")).to_contain_text(text[:60])
    unharmed(page)


@pytest.mark.parametrize("route", ["#/audit?newest_first=true", "#/audit?event=call.described", "#/clients"])
def test_what_is_found_is_text(look: Look, server: Running, route: str) -> None:
    page = look(server).open(route)
    settled(page)
    for toggle in page.locator(".audit-toggle").all()[:6]:
        toggle.click()
    unharmed(page)
    page.set_viewport_size(NARROW)
    assert sideways(page) == 0


def test_what_turns_the_direction_of_a_text_is_written_out(look: Look, server: Running) -> None:
    page = look(server).open(f"#{quote(STREAMS[5], safe='')}")
    settled(page)
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_contain_text("⟪U+202E⟫gnp.tneconni⟪U+202C⟫")
    expect(heading.locator(".unseen").first).to_have_text("⟪U+202E⟫")
    assert "\u202e" not in page.locator("main").inner_html()
    page.goto(f"/console/#/audit?stream={quote(STREAMS[5], safe='')}")
    expect(page.locator(".audit-place").first).to_contain_text("⟪U+202E⟫")
    page.locator(".audit-toggle").first.click()
    expect(page.locator(".audit-details")).to_be_visible()
    assert "\u202e" not in page.get_by_role("table", name="Events found").inner_text()


def test_an_address_that_was_meant_to_harm_is_text(look: Look, server: Running) -> None:
    window = look(server)
    window.announce("404", "422")
    page = window.open()
    for text in HOSTILE[:3]:
        for route in ("#{}@3", "#/audit?text={}", "#/clients/{}", "#/integrity?event={}", "#/{}"):
            page.evaluate("(hash) => { location.hash = hash; }", route.format(quote(text, safe="")))
            expect(page.get_by_role("main").get_by_role("heading", level=1)).to_be_visible()
            unharmed(page)


def test_the_board_shows_what_lives_as_text(look: Look, server: Running, traffic: Traffic) -> None:
    page = look(server).open()
    settled(page)
    id = server.conversation(topic=HOSTILE[0], user_id=HOSTILE[1])
    guest = traffic.joined(server.port, id)
    for text in HOSTILE:
        guest.say("transcript_update", interim_transcript=text, confidence=0.9)
    said = page.locator(f"tr[data-stream='conversation-{id}'] .cell-event")
    expect(said).to_contain_text("injected")
    unharmed(page)
    for size in (NARROW, WIDE):
        page.set_viewport_size(size)
        assert sideways(page) == 0
    guest.leave()
