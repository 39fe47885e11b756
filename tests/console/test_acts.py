"""What an operator does in the page: each act with its effect, each refusal with its reason, all of it on record."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.conftest import Look, Serve
from tests.console.rig import Running

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def server(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Running:
    return serve(tmp_path_factory.mktemp("acts") / "callboard.db")


@pytest.fixture
def talk(server: Running) -> str:
    """A conversation in which something was said and answered."""
    id = server.conversation(topic="sailing")
    server.message(id, "The dog swam far.")
    return f"conversation-{id}"


def acting(page: Page, act: str) -> Locator:
    """The dialog of an act, from the stream that is shown."""
    page.get_by_role("button", name=act).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    return dialog


def newest(server: Running, stream: str, **filters: Any) -> dict[str, Any]:
    told = server.told("/api/audit/events", stream=stream, newest_first="true", limit=1, **filters)["entries"][0]
    assert isinstance(told, dict)
    return told


def test_a_command_is_sent_with_the_operators_name_and_leads_to_its_events(
    look: Look, server: Running, talk: str
) -> None:
    page = look(server).open(f"#{talk}@1")
    dialog = acting(page, "Send a command")
    dialog.get_by_label("content").fill(HOSTILE)
    page.keyboard.press("Enter")
    expect(dialog.get_by_text("Accepted")).to_be_visible()
    said = newest(server, talk, event="conversation.message_said", text="onerror", principal="anonymous")
    assert said["payload"]["content"] == HOSTILE
    dialog.get_by_role("link", name=f"@{said['version']}", exact=True).click()
    page.get_by_role("tab", name="Event").click()
    expect(dialog).to_have_count(0)
    expect(page.locator(".event-said")).to_contain_text(HOSTILE)


def test_a_refusal_tells_its_code_and_leads_to_its_record(look: Look, server: Running, talk: str) -> None:
    window = look(server)
    window.announce("409")
    page = window.open(f"#{talk}@1")
    dialog = acting(page, "Send a command")
    dialog.get_by_label("Command").select_option("conversation.request_phase")
    dialog.get_by_label("phase", exact=True).select_option("speaking")
    dialog.get_by_role("button", name="Send", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("illegal_transition")
    refused = newest(server, talk, rejected="true")
    expect(dialog.get_by_role("link", name=f"@{refused['version']}")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Send a command")).to_be_focused()


def test_what_the_server_finds_wrong_is_said_at_the_field(look: Look, server: Running, talk: str) -> None:
    window = look(server)
    window.announce("422")
    dialog = acting(window.open(f"#{talk}@1"), "Send a command")
    dialog.get_by_text("What may be left out").click()
    dialog.get_by_label("content").fill("Hello")
    dialog.get_by_label("target vocabulary").fill("[1]")
    dialog.get_by_role("button", name="Send", exact=True).click()
    expect(dialog.get_by_label("target vocabulary")).to_have_attribute("aria-invalid", "true")


def test_a_fork_goes_on_elsewhere_and_is_said_to_what_was_said_next(look: Look, server: Running, talk: str) -> None:
    page = look(server).open(f"#{talk}@1")
    dialog = acting(page, "Fork at @1")
    dialog.get_by_label("personality").fill("formal")
    dialog.get_by_role("button", name="Fork", exact=True).click()
    dialog.get_by_role("button", name="Say what was said next").click()
    expect(dialog.locator(".act-steps")).to_contain_text("The dog swam far.")
    expect(dialog.locator(".act-steps")).to_contain_text("assistant")
    dialog.get_by_role("link", name="See the fork").click()
    expect(page.get_by_role("button", name="Continue the fork")).to_be_visible()
    fork = page.evaluate("() => decodeURIComponent(location.hash.slice(1))").partition("@")[0]
    assert newest(server, fork, event="conversation.forked")["payload"]["personality"] == "formal"


def test_a_conversation_ends_only_when_that_is_confirmed(look: Look, server: Running, talk: str) -> None:
    page = look(server).open(f"#{talk}@1")
    dialog = acting(page, "End the conversation")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)
    assert newest(server, talk)["payload"].get("phase") != "ended"
    dialog = acting(page, "End the conversation")
    dialog.get_by_label("Reason").fill("the wind has gone")
    dialog.get_by_role("button", name="End it").click()
    expect(dialog.get_by_text("Accepted")).to_be_visible()
    assert newest(server, talk, event="conversation.phase_entered")["payload"]["phase"] == "ended"


def test_an_act_whose_answer_was_lost_is_done_once(look: Look, server: Running, talk: str) -> None:
    window = look(server)
    window.announce("ERR_")
    page = window.open(f"#{talk}@1")

    def lose(route: Any) -> None:
        route.fetch()  # the server has done it
        route.abort()
        page.unroute("**/commands")

    page.route("**/streams/*/commands", lose)
    dialog = acting(page, "Send a command")
    dialog.get_by_label("content").fill("once alone")
    send = dialog.get_by_role("button", name="Send", exact=True)
    send.click()
    expect(dialog.get_by_role("alert")).to_contain_text("Trying again is safe")
    page.unroute("**/streams/*/commands")
    send.click()
    expect(dialog.get_by_text("Accepted")).to_be_visible()
    query = {"stream": talk, "event": "conversation.message_said", "text": '"once alone"', "principal": "anonymous"}
    assert server.told("/api/audit/events/count", **query)["count"] == 1
