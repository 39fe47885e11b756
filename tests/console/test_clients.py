"""What did this client see: the page's answer beside the API's, for connections that are and that were."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.console.conftest import Look, Serve
from tests.console.rig import Guest, Running, Traffic

ROW = "table[aria-label='Connections'] tbody tr"


@pytest.fixture(scope="module")
def server(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Running:
    return serve(tmp_path_factory.mktemp("clients") / "callboard.db", CALLBOARD_SEEN_INTERVAL="0.1")


@pytest.fixture(scope="module")
def talk(server: Running) -> str:
    return server.conversation(topic="sailing")


@pytest.fixture(scope="module")
def guest(server: Running, traffic: Traffic, talk: str) -> Guest:
    """Somebody who heard an answer, and has left: of that the server made notes."""
    guest = traffic.joined(server.port, talk)
    server.message(talk, "The dog swam far.")
    guest.until("ai_response")
    guest.leave()
    return guest


def test_who_was_there_is_listed_with_what_it_heard_and_how_it_ended(
    look: Look, server: Running, guest: Guest, talk: str
) -> None:
    window = look(server)
    page = window.open("#/clients")

    def is_noted() -> bool:
        page.get_by_role("button", name="Look again").click()
        return page.locator(ROW).get_by_text("100").count() > 0  # its close code

    window.until(is_noted, "the end of the connection is on record")
    row = page.locator(ROW).first
    expect(row).to_contain_text("conversations")
    expect(row.get_by_role("link").nth(1)).to_have_attribute("href", f"#conversation-{talk}")


def test_without_a_time_all_who_ever_joined_are_listed_and_consoles_if_wanted(
    look: Look, server: Running, guest: Guest, talk: str
) -> None:
    left = server.told("/api/audit/events", stream=f"conversation-{talk}", event="conversation.client_joined")
    window = look(server)
    window.open(f"#conversation-{talk}")
    expect(window.page.locator(".state")).to_be_visible()
    window.until(lambda: consoles(server, talk), "a console is noted")
    page = window.page
    page.evaluate("(stream) => { location.hash = `#/clients?stream=${stream}`; }", f"conversation-{talk}")
    rows = page.locator("table[aria-label='Who heard it'] tbody tr")
    for entry in left["entries"]:
        row = rows.filter(has=page.get_by_role("link", name=entry["payload"]["connection_id"], exact=True))
        expect(row).to_have_count(1)
    expect(rows.get_by_text("console", exact=True)).to_have_count(0)
    page.get_by_label("consoles too").check()
    expect(rows.get_by_text("console", exact=True)).not_to_have_count(0)


def consoles(server: Running, talk: str) -> bool:
    told = server.told("/api/audit/connections", stream=f"conversation-{talk}")["connections"]
    return any(each["dialect"] == "console" for each in told)


def test_one_client_is_told_of_as_the_api_tells_with_the_frames_it_was_sent(
    look: Look, server: Running, guest: Guest, talk: str
) -> None:
    stream = f"conversation-{talk}"
    ended = server.told("/api/audit/events", stream=stream, event="conversation.message_said", newest_first="true")
    at = ended["entries"][0]["time"]
    page = look(server).open(f"#/clients?stream={stream}")
    page.get_by_label("As it was at").fill(at)
    page.get_by_role("button", name="Show").nth(1).click()
    told = server.told("/api/audit/connections", stream=stream, at=at)["connections"]
    row = page.locator("table[aria-label='Who heard it'] tbody tr")
    expect(row).to_have_count(len(told))
    seen = told[0]["streams"][0]
    shown = [int(row.locator(f"[data-label='{name}']").inner_text()) for name in ("received", "written", "at most")]
    assert shown == [seen["acknowledged"], seen["written"], seen["at_most"]]
    row.get_by_role("link").first.click()
    page.get_by_text("The frames it was sent").click()
    page.get_by_text("message said").first.click()
    expect(page.locator(".clients-sent pre").first).to_contain_text('"type":"ai_response"')


def test_a_connection_that_nobody_noted_is_said_to_be_unknown(look: Look, server: Running) -> None:
    window = look(server)
    window.announce("404")
    page = window.open("#/clients/made-up.1")
    expect(page.get_by_text("has no note of such a connection")).to_be_visible()
