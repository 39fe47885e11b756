"""Everybody can use it: whoever sees little, has a small screen, no mouse, or is made ill by what moves."""

from __future__ import annotations

from importlib import resources
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import Look
from tests.console.rig import NARROW, WIDE, Running

TALK = "conversation-01a1fe4a-0f8e-7146-82a9-f646fca5a3d4"
ROUTES = {
    "board": "",
    "stream": f"#{TALK}",
    "time travel": f"#{TALK}@12",
    "audit": "#/audit",
    "audit, found": "#/audit?text=sailing",
    "clients": "#/clients",
    "integrity": "#/integrity",
}
AXE = (resources.files("axe_playwright_python") / "axe.min.js").read_text()
SERIOUS = {"serious", "critical"}


def violations(page: Page) -> list[str]:
    """What axe-core finds that is serious, and where."""
    page.evaluate(AXE)
    found: list[dict[str, Any]] = page.evaluate("async () => (await axe.run()).violations")
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in found
        if violation["impact"] in SERIOUS
        for node in violation["nodes"][:3]
    ]


def settled(page: Page) -> None:
    """What a view asks for at first has come."""
    expect(page.get_by_role("main").get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    expect(page.locator(".loading")).to_have_count(0)
    page.wait_for_load_state("networkidle")


@pytest.mark.parametrize("view", ROUTES)
def test_no_view_has_a_serious_finding_in_light_or_dark_wide_or_narrow(look: Look, archive: Running, view: str) -> None:
    page = look(archive).open(ROUTES[view])
    for size in (WIDE, NARROW):
        page.set_viewport_size(size)
        settled(page)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            assert violations(page) == [], f"{view}, {scheme}, {size['width']} px"
    wider = page.evaluate("() => document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth")
    assert wider == 0, f"{view} scrolls sideways by {wider} px"
