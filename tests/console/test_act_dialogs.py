"""Dialogs of acts end with the page they are about, and lose nothing that was typed; what is over is not acted on."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import Look, Serve
from tests.console.guarded import guarded, token_of
from tests.console.rig import Running
from tests.console.test_acts import acting, newest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dialogs")


@pytest.fixture(scope="module")
def server(serve: Serve, folder: Path) -> Running:
    return serve(folder / "callboard.db")


@pytest.fixture
def talk(server: Running) -> str:
    id = server.conversation(topic="sailing")
    server.message(id, "The dog swam far.")
    return f"conversation-{id}"


def test_what_was_sent_is_not_sent_again_by_another_enter(look: Look, server: Running, talk: str) -> None:
    page = look(server).open(f"#{talk}@1")
    dialog = acting(page, "Send a command")
    content = dialog.get_by_label("content")
    content.fill("once and no more")
    page.keyboard.press("Enter")
    expect(dialog.get_by_text("Accepted")).to_be_visible()
    expect(content).to_have_value("")
    expect(dialog.get_by_role("button", name="Send another")).to_be_visible()
    expect(dialog.get_by_role("button", name="Done")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    query = {
        "stream": talk,
        "event": "conversation.message_said",
        "text": '"once and no more"',
        "principal": "anonymous",
    }
    assert server.told("/api/audit/events/count", **query)["count"] == 1


def test_a_dialog_does_not_outlive_its_stream_and_what_was_typed_is_found_again(
    look: Look, server: Running, talk: str
) -> None:
    page = look(server).open()
    page.evaluate("(stream) => { location.hash = `#${stream}`; }", talk)
    acting(page, "Send a command").get_by_label("content").fill("half a thought")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Board")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.go_forward()
    dialog = acting(page, "Send a command")
    expect(dialog.get_by_label("content")).to_have_value("half a thought")
    page.evaluate("(stream) => { location.hash = `#${stream}@1`; }", talk)
    expect(page.locator(".state[data-version='1']")).to_have_count(1)
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Cancel").click()
    expect(acting(page, "Send a command").get_by_label("content")).to_have_value("")


def test_an_act_goes_on_after_signing_in_again(look: Look, serve: Serve, tmp_path: Path) -> None:
    server = serve(tmp_path / "guarded.db", **guarded(tmp_path))
    bearer = {"Authorization": f"Bearer {token_of('olga')}"}
    id = server.ask("POST", "/api/v2/conversations", {"topic": "sailing"}, **bearer).json()["id"]
    window = look(server)
    window.announce("401")
    page = window.open(f"#conversation-{id}")
    enter(page, token_of("olga"))
    dialog = acting(page, "Send a command")
    dialog.get_by_label("content").fill("typed before the token was over")
    page.evaluate("() => sessionStorage.setItem('callboard.token', 'over')")
    dialog.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(dialog).to_have_count(0)
    enter(page, token_of("olga"))
    expect(dialog).to_contain_text("sign in again")
    expect(dialog.get_by_label("content")).to_have_value("typed before the token was over")
    dialog.get_by_role("button", name="Send", exact=True).click()
    expect(dialog.get_by_text("Accepted")).to_be_visible()


def enter(page: Page, token: str) -> None:
    page.get_by_label("Token", exact=True).check()
    page.get_by_label("Token", exact=True).last.fill(token)
    page.get_by_role("button", name="Sign in").click()


def test_what_has_ended_says_so_and_is_sent_nothing_more_but_can_be_forked(
    look: Look, server: Running, talk: str
) -> None:
    page = look(server).open(f"#{talk}@1")
    pill = page.locator(".stream-head .chip")
    phase = str(newest(server, talk, event="conversation.phase_entered")["payload"]["phase"])
    expect(pill).to_have_text(phase.replace("_", " "))
    dialog = acting(page, "End the conversation")
    dialog.get_by_role("button", name="End it").click()
    expect(dialog.get_by_role("button", name="Done")).to_be_focused()
    page.keyboard.press("Enter")
    expect(pill).to_have_text("ended")
    for act in ("Send a command", "End the conversation"):
        button = page.get_by_role("button", name=act)
        expect(button).to_have_attribute("aria-disabled", "true")
        expect(button).to_have_accessible_description("It has ended: nothing more can be said to it.")
        button.click(force=True)
        expect(page.get_by_role("dialog")).to_have_count(0)
    expect(acting(page, "Fork at @1")).to_be_visible()


def test_a_version_that_the_stream_does_not_have_is_said_to_be_none(look: Look, server: Running, talk: str) -> None:
    end = newest(server, talk)["version"]
    page = look(server).open(f"#{talk}@9999")
    expect(page.get_by_text(f"The stream has no event 9,999; its end is {end}.")).to_be_visible()
