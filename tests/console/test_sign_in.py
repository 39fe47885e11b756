"""Who comes in: by name and password or with a token, in which role, and for how long."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import Look, Serve
from tests.console.guarded import PASSWORD, ROLES, guarded, token_of
from tests.console.rig import Running, Window


@pytest.fixture(scope="module")
def server(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Running:
    return serve(**guarded(tmp_path_factory.mktemp("users")))


@pytest.fixture
def window(look: Look, server: Running) -> Window:
    window = look(server)
    window.announce("401")
    return window


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.get_by_label("User").fill(name)
    page.get_by_label("Password", exact=True).last.fill(password)
    page.get_by_role("button", name="Sign in").click()


@pytest.mark.parametrize("name", ["olga", "aude"])
def test_operators_and_auditors_come_in_and_stay_until_they_sign_out(window: Window, name: str) -> None:
    page = window.open()
    sign_in(page, name)
    expect(page.get_by_role("banner")).to_contain_text(name)
    expect(page.get_by_role("banner")).to_contain_text(ROLES[name])
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_role("banner")).to_contain_text(name)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_clients_are_told_that_it_is_not_for_them(window: Window) -> None:
    window.announce("403")
    page = window.open()
    sign_in(page, "carl")
    expect(page.get_by_role("heading", name="Not for you")).to_be_visible()
    page.get_by_role("button", name="Sign in as somebody else").click()
    sign_in(page, "aude")
    expect(page.get_by_role("banner")).to_contain_text("aude")


def test_a_wrong_password_is_said_to_be_wrong_and_may_be_tried_again(window: Window) -> None:
    page = window.open()
    sign_in(page, "olga", "a wrong password")
    expect(page.get_by_role("alert")).to_contain_text("Not signed in")
    sign_in(page, "olga")
    expect(page.get_by_role("banner")).to_contain_text("olga")


def test_a_token_that_expires_leads_back_to_signing_in(window: Window) -> None:
    window.announce("WebSocket")
    page = window.open()
    page.get_by_label("Token", exact=True).check()
    page.get_by_label("Token", exact=True).last.fill(token_of("aude", 2))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_text("Your token is not valid (any more).")).to_be_visible()
