"""A page that is first loaded while the server is away comes back by itself; what it asks is no reason to ask again."""

from __future__ import annotations

import pytest
from playwright.sync_api import Route, expect

from tests.console.conftest import Look, Serve
from tests.console.rig import Running

AWAY = ("ERR_FAILED", "Failed to fetch dynamically imported module")


@pytest.fixture(scope="module")
def server(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Running:
    """One with a log in a file, as only those are audited."""
    return serve(tmp_path_factory.mktemp("recovery") / "callboard.db")


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("**/api/console/me", "The server does not say who you are"),
        ("**/views/integrity.js", "This view cannot be shown"),
        ("**/console/frame.js", "The console cannot be loaded now"),
    ],
)
def test_what_does_not_come_at_first_is_asked_for_again_without_anybody_doing_anything(
    look: Look, server: Running, path: str, told: str
) -> None:
    window = look(server)
    window.announce(*AWAY)
    is_away = True

    def answer(route: Route) -> None:
        if is_away:
            route.abort()
        else:
            route.continue_()

    window.context.route(path, answer)
    page = window.open("#/integrity")
    expect(page.get_by_text(told)).to_be_visible()
    is_away = False
    expect(page.get_by_role("heading", name="Checkpoints")).to_be_visible()


@pytest.mark.parametrize(("tab", "ask"), [("Frames", "Show the frames"), ("Causes", "Follow the causes")])
def test_who_goes_along_with_the_days_audit_stream_asks_on_a_button_alone(
    look: Look, server: Running, tab: str, ask: str
) -> None:
    server.told("/api/audit/events", limit=1)
    stream = server.told("/api/console/streams", category="audit")["streams"][0]["stream"]
    page = look(server).open(f"#{stream}")
    rows = page.get_by_role("grid", name="Events")
    page.get_by_role("tab", name=tab).click()
    button = page.get_by_role("tabpanel").get_by_role("button", name=ask)
    expect(button).to_be_visible()
    for _ in range(2):
        asked = int(rows.get_attribute("aria-rowcount") or 0)
        button.click()
        expect(page.locator(f"[role=tabpanel] [data-version='{asked}']").first).to_be_visible()
        expect(button).to_contain_text(f"event {asked + 1}")
        expect(rows).to_have_attribute("aria-rowcount", str(asked + 1))
