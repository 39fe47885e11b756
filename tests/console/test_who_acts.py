"""Whose name is on what is done in the page, and who may do it at all."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import Look, Serve
from tests.console.guarded import come_as, guarded, token_of
from tests.console.rig import Running
from tests.console.test_acts import acting

OLGA, CARL = ({"Authorization": f"Bearer {token_of(name)}"} for name in ("olga", "carl"))
ACTS = ["Send a command", "Fork at @2", "End the conversation"]


@pytest.fixture(scope="module")
def server(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Running:
    """One that asks who comes, with a log in a file."""
    folder = tmp_path_factory.mktemp("names")
    return serve(folder / "callboard.db", **guarded(folder))


@pytest.fixture
def talk(server: Running) -> str:
    """What a client, carl, said and was answered."""
    id = server.ask("POST", "/api/v2/conversations", {"topic": "sailing"}, **CARL).json()["id"]
    said = server.ask("POST", f"/api/v2/conversations/{id}/messages", {"content": "The dog swam far."}, **CARL)
    assert said.status_code == 200, said.text
    return f"conversation-{id}"


def entries(server: Running, stream: str) -> list[dict[str, Any]]:
    """The events of a stream, as the audit tells them to olga."""
    answer = server.ask("GET", f"/api/audit/events?stream={stream}&limit=500", **OLGA)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["entries"])


def principals(server: Running, stream: str, after: int = 0) -> set[str]:
    """In whose names its events after that version are."""
    return {str(entry["principal"]) for entry in entries(server, stream) if entry["version"] > after}


def seen_by(look: Look, server: Running, name: str, stream: str) -> Page:
    """The second event of a stream in a window of somebody signed in."""
    window = look(server)
    come_as(window, name)
    page = window.open(f"#{stream}@2")
    expect(page.get_by_role("banner")).to_contain_text(name)
    expect(page.locator(".state[data-version='2']")).to_be_visible()
    return page


def test_what_an_operator_says_and_ends_is_on_record_in_her_name_and_the_rest_is_not(
    look: Look, server: Running, talk: str
) -> None:
    assert principals(server, talk) == {"carl", "system"}
    page = seen_by(look, server, "olga", talk)
    dialog = acting(page, "Send a command")
    dialog.get_by_label("content").fill("An operator speaks")
    page.keyboard.press("Enter")
    expect(dialog.get_by_text("Accepted")).to_be_visible()
    dialog.get_by_role("button", name="Done").click()
    said = next(entry for entry in entries(server, talk) if entry["payload"].get("content") == "An operator speaks")
    assert (said["event"].partition("/")[0], said["principal"]) == ("conversation.message_said", "olga")
    dialog = acting(page, "End the conversation")
    dialog.get_by_role("button", name="End it").click()
    expect(dialog.get_by_text("Accepted")).to_be_visible()
    ended = entries(server, talk)[-1]
    assert (ended["payload"]["phase"], ended["principal"]) == ("ended", "olga")


def test_a_refused_act_is_on_record_in_the_operators_name_too(look: Look, server: Running, talk: str) -> None:
    before = len(entries(server, talk))
    window = look(server)
    window.announce("409")
    come_as(window, "olga")
    dialog = acting(window.open(f"#{talk}@2"), "Send a command")
    dialog.get_by_label("Command").select_option("conversation.request_phase")
    dialog.get_by_label("phase", exact=True).select_option("speaking")
    dialog.get_by_role("button", name="Send", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("illegal_transition")
    assert principals(server, talk, before) == {"olga"}


def test_a_fork_is_in_the_name_of_who_made_it(look: Look, server: Running, talk: str) -> None:
    page = seen_by(look, server, "olga", talk)
    dialog = acting(page, "Fork at @2")
    dialog.get_by_role("button", name="Fork", exact=True).click()
    dialog.get_by_role("link", name="See the fork").click()
    expect(page.get_by_role("button", name="Continue the fork")).to_be_visible()
    fork = page.evaluate("() => decodeURIComponent(location.hash.slice(1))").partition("@")[0]
    assert fork != talk
    (forked,) = [entry for entry in entries(server, fork) if entry["event"].startswith("conversation.forked")]
    assert forked["principal"] == "olga"


def test_an_operator_is_offered_acts_and_an_auditor_none(look: Look, server: Running, talk: str) -> None:
    offered = seen_by(look, server, "olga", talk)
    for act in ACTS:
        expect(offered.get_by_role("button", name=act)).to_be_visible()
    page = seen_by(look, server, "aude", talk)
    for route in (f"#{talk}@2", f"#{talk}", "", "#/audit", "#/clients", "#/integrity"):
        page.evaluate("(route) => { location.hash = route; }", route)
        expect(page.get_by_role("main").get_by_role("heading", level=1)).to_be_visible()
        expect(page.locator(".loading")).to_have_count(0)
        page.wait_for_load_state("networkidle")
        expect(page.get_by_role("group", name="Acts of an operator")).to_have_count(0)
        expect(page.locator("[data-act], [aria-haspopup='dialog']")).to_have_count(0)


def test_what_an_auditors_page_does_not_offer_the_server_refuses_too(server: Running, talk: str) -> None:
    before = len(entries(server, talk))
    answer = server.ask(
        "POST",
        f"/api/console/streams/{talk}/commands",
        {"name": "conversation.say", "body": {"content": "An auditor speaks"}},
        Authorization=f"Bearer {token_of('aude')}",
    )
    assert answer.status_code == 403
    assert len(entries(server, talk)) == before
