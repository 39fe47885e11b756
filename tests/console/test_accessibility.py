"""Everybody can use it: whoever sees little, has a small screen, no mouse, or is made ill by what moves."""

from __future__ import annotations

from importlib import resources
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.conftest import Look
from tests.console.rig import NARROW, WIDE, Running

TALK = "conversation-01a1fe4a-0f8e-7146-82a9-f646fca5a3d4"
ROUTES = {
    "board": "",
    "stream": f"#{TALK}",
    "time travel": f"#{TALK}@12",
    "audit": "#/audit?text=sailing",
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
    for size, schemes in ((WIDE, ("light", "dark")), (NARROW, ("light", "dark"))):
        page.set_viewport_size(size)
        settled(page)
        for scheme in schemes:
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            assert violations(page) == [], f"{view}, {scheme}, {size['width']} px"
        assert sideways(page) == 0, f"{view}, {size['width']} px"


def sideways(page: Page) -> int:
    """Pixels by which the page can be scrolled sideways."""
    wider = page.evaluate("() => document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth")
    return int(wider)


def test_what_is_not_accessible_is_found(look: Look, archive: Running) -> None:
    page = look(archive).open()
    settled(page)
    page.evaluate("() => document.querySelector('main').append(document.createElement('button'))")
    assert [finding.partition(":")[0] for finding in violations(page)] == ["button-name"]


def test_with_the_keyboard_alone_one_finds_a_conversation_and_travels_in_it(look: Look, archive: Running) -> None:
    page = look(archive).open()
    settled(page)
    keyboard = page.keyboard
    keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    keyboard.press("g")
    keyboard.press("s")
    expect(page.get_by_label("Go to a stream")).to_be_focused()
    keyboard.type("call-demo")
    keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    expect(page.locator(".state[data-version='29']")).to_be_visible()
    for key, at in {"ArrowLeft": 28, "Home": 0, "ArrowRight": 1, "Shift+ArrowRight": 11}.items():
        keyboard.press(key)
        expect(page.locator(f".state[data-version='{at}']")).to_be_visible()
    reach(page, page.get_by_role("tab", name="State"))
    keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Event", exact=True)).to_be_focused()
    expect(page.locator(".event[data-version='11']")).to_be_visible()
    reach(page, page.get_by_role("grid", name="Events"), "Shift+Tab")
    keyboard.press("ArrowDown")
    expect(page.locator(".event[data-version='12']")).to_be_visible()
    keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Go to the audit")
    keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("grid", name="Events")).to_be_focused()


def reach(page: Page, target: Locator, key: str = "Tab") -> None:
    """Press the key until the target has the focus, which shows wherever it is on the way."""
    for _ in range(60):
        if target.evaluate("(it) => it === document.activeElement"):
            return
        page.keyboard.press(key)
        assert page.evaluate(SHOWN), page.evaluate("() => document.activeElement.outerHTML.slice(0, 200)")
    raise AssertionError(f"{target} cannot be reached")


SHOWN = """() => {
  const it = document.activeElement;
  if (it === document.body) return true;
  const { outlineStyle, outlineWidth } = getComputedStyle(it);
  return it.matches(":focus-visible") && outlineStyle !== "none" && parseFloat(outlineWidth) >= 1;
}"""


@pytest.mark.parametrize(("wanted", "moves"), [("reduce", False), ("no-preference", True)])
def test_what_waits_moves_unless_little_motion_is_wanted(
    look: Look, archive: Running, wanted: str, moves: bool
) -> None:
    window = look(archive, reduced_motion=wanted)
    window.page.route("**/outline", lambda _: None)  # never answered
    page = window.open("#call-demo@3")
    expect(page.locator(".skeleton")).to_be_visible()
    assert bool(page.evaluate(MOVING)) == moves


MOVING = """() => [...document.querySelectorAll("*")].filter((it) => {
  const { transitionDuration, animationName, animationDuration, scrollBehavior } = getComputedStyle(it);
  const lasts = (text) => text.split(",").some((one) => parseFloat(one) > 0.05);
  return lasts(transitionDuration) || (animationName !== "none" && lasts(animationDuration))
    || scrollBehavior === "smooth";
}).map((it) => it.outerHTML.slice(0, 100))"""
