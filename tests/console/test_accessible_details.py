"""What is found no sooner than one looks for it is accessible too: who one is, dialogs, panels and one client."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import Look, Serve
from tests.console.guarded import guarded
from tests.console.rig import NARROW, WIDE, Running, Traffic, Window
from tests.console.test_accessibility import TALK, settled, sideways, violations
from tests.console.test_acts import acting

DIALOGS = ["Send a command", "Fork at @12", "End the conversation"]
PANELS = {"Event": ".event", "Frames": ".frames", "Causes": ".causes"}


def is_accessible(page: Page, what: str) -> None:
    """In light and dark, wide and narrow."""
    for size in (WIDE, NARROW):
        page.set_viewport_size(size)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            assert violations(page) == [], f"{what}, {scheme}, {size['width']} px"
        assert sideways(page) == 0, f"{what}, {size['width']} px"


def test_signing_in_is_accessible_and_being_turned_away_is(look: Look, serve: Serve, tmp_path: Path) -> None:
    window = look(serve(**guarded(tmp_path)))
    window.announce("401")
    page = window.open()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    is_accessible(page, "sign in")
    page.get_by_label("Token", exact=True).check()
    is_accessible(page, "sign in with a token")
    page.get_by_label("Token", exact=True).last.fill("no token")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Your token is not valid (any more).")).to_be_visible()
    is_accessible(page, "not signed in")


@pytest.mark.parametrize("act", DIALOGS)
def test_the_dialog_of_an_act_is_accessible(look: Look, archive: Running, act: str) -> None:
    page = look(archive).open(f"#{TALK}@12")
    settled(page)
    acting(page, act)
    is_accessible(page, act)


def test_help_is_accessible(look: Look, archive: Running) -> None:
    page = look(archive).open()
    settled(page)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Go to the audit")
    is_accessible(page, "help")


@pytest.mark.parametrize("panel", PANELS)
def test_each_panel_of_a_stream_is_accessible(look: Look, archive: Running, panel: str) -> None:
    page = look(archive).open(f"#{TALK}@12")
    settled(page)
    page.get_by_role("tab", name=panel, exact=True).click()
    expect(page.locator(f"{PANELS[panel]}[data-version='12']")).to_be_visible()
    settled(page)
    is_accessible(page, panel)


def test_one_client_is_accessible_with_the_frames_it_was_sent(
    look: Look, serve: Serve, traffic: Traffic, tmp_path: Path
) -> None:
    server = serve(tmp_path / "callboard.db", CALLBOARD_SEEN_INTERVAL="0.1")
    talk = server.conversation(topic="sailing")
    guest = traffic.joined(server.port, talk)
    server.message(talk, "The dog swam far.")
    guest.until("ai_response")
    guest.leave()
    window = look(server)
    page = window.open(f"#/clients/{one_that_left(server, window, talk)}")
    page.get_by_text("The frames it was sent").click()
    page.get_by_text("message said").first.click()
    expect(page.locator(".clients-sent pre").first).to_contain_text('"type":"ai_response"')
    is_accessible(page, "one client")


def one_that_left(server: Running, window: Window, talk: str) -> str:
    """The id of a connection, as soon as its end is on record."""
    joined = server.told("/api/audit/events", stream=f"conversation-{talk}", event="conversation.client_joined")
    connection = str(joined["entries"][0]["payload"]["connection_id"])

    def has_ended() -> bool:
        answer = server.ask("GET", f"/api/audit/connections/{connection}")
        return answer.status_code == 200 and answer.json()["closed"] is not None

    window.until(has_ended, "the end of the connection is on record")
    return connection
