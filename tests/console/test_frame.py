"""What stands around the views: the connection, where to go, whose time it is, where the focus is, and on a phone."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Route, WebSocketRoute, expect

from tests.console.conftest import Look, Serve
from tests.console.guarded import PASSWORD, guarded
from tests.console.rig import NARROW, Running
from tests.console.test_accessibility import TALK, settled
from tests.console.test_sign_in import sign_in

SOCKET = "(await import('/console/server.js')).socket"
HEADING = "main h1"


def banner_says(page: Page, text: str) -> None:
    expect(page.get_by_role("banner")).to_contain_text(text)


# --- the connection ---------------------------------------------------------------------------------------------


def test_a_connection_that_opens_while_the_board_is_being_drawn_is_open_on_it(look: Look, archive: Running) -> None:
    page = look(archive).open("#/integrity")
    settled(page)
    page.evaluate(f"""async () => {{
      const socket = {SOCKET};
      await import("/console/views/board.js");
      socket.status = "lost";
      new MutationObserver((_, watching) => {{ // after the drawing, and before what follows it
        if (!document.querySelector(".board-body")) return;
        socket.status = "open";
        watching.disconnect();
      }}).observe(document.querySelector("main"), {{ childList: true, subtree: true }});
      location.hash = "";
    }}""")
    expect(page.locator(".board-body")).to_be_visible()
    expect(page.locator(".board-body .health")).to_be_visible()
    expect(page.get_by_text("No live events")).to_have_count(0)


def test_a_board_that_is_answered_makes_a_lost_socket_try_at_once(look: Look, server: Running) -> None:
    page = look(server).open()
    settled(page)
    page.evaluate(f"""async () => {{
      const socket = (window.lost = {SOCKET});
      socket.close(); // and so never comes back by itself
      socket.status = "lost";
    }}""")
    page.wait_for_function("() => window.lost.status === 'open'")


@pytest.mark.parametrize("event", ["online", "visibilitychange"])
def test_who_is_back_or_looks_again_makes_a_lost_socket_try_at_once(look: Look, server: Running, event: str) -> None:
    window = look(server)
    page = window.open()
    settled(page)
    window.context.route("**/api/console/board", lambda _: None)  # never answered
    page.evaluate(
        f"""async (name) => {{
      const socket = (window.lost = {SOCKET});
      socket.close();
      socket.status = "lost";
      (name === "online" ? window : document).dispatchEvent(new Event(name));
    }}""",
        event,
    )
    page.wait_for_function("() => window.lost.status === 'open'")


def test_nobody_is_said_to_be_ready_while_it_is_asked_whether_anybody_is_there(look: Look, archive: Running) -> None:
    window, ways = look(archive), list[WebSocketRoute]()

    def through(way: WebSocketRoute) -> None:
        way.connect_to_server()
        ways.append(way)

    window.page.route_web_socket("**/console/socket", through)
    page = window.open("#/integrity")
    settled(page)
    banner_says(page, "Ready")
    held = list[Route]()
    window.context.route("**/api/console/board", lambda route: held.append(route))
    ways[0].close(code=3000, reason="gone")
    banner_says(page, "Asking")
    window.until(lambda: held, "the board is asked for at once")
    for route in held:
        route.continue_()
    window.context.unroute("**/api/console/board")
    banner_says(page, "Ready")


# --- where to go ------------------------------------------------------------------------------------------------


def go_to(page: Page, text: str) -> None:
    page.get_by_label("Go to a stream").fill(text)
    page.keyboard.press("Enter")


@pytest.mark.parametrize("end", [slice(None), slice(-8, None)])
def test_a_bare_id_or_its_end_leads_to_the_stream(look: Look, archive: Running, end: slice) -> None:
    page = look(archive).open()
    settled(page)
    go_to(page, f"{TALK.removeprefix('conversation-')[end]}@7")
    expect(page.locator(".state[data-version='7']")).to_be_visible()
    assert page.url.endswith(f"#{TALK}@7")


def test_of_several_one_chooses_and_where_there_is_none_it_is_said_what_to_write(look: Look, archive: Running) -> None:
    page = look(archive).open()
    settled(page)
    go_to(page, "demo@2")
    told = page.locator(".go-to-told")
    expect(told).to_contain_text("with “demo” in the name")
    told.get_by_role("link", name="call-demo").click()
    expect(page.locator(".state[data-version='2']")).to_be_visible()
    expect(told).to_have_count(0)
    go_to(page, "albatross")
    expect(told).to_contain_text("No stream has “albatross” in its name")
    expect(told).to_contain_text("conversation-…")
    expect(told.get_by_role("link")).to_have_attribute("href", "#/audit?text=albatross")
    page.keyboard.press("Escape")
    expect(told).to_have_count(0)


# --- whose time it is -------------------------------------------------------------------------------------------


def test_the_zone_is_said_and_may_be_utc_which_the_browser_keeps(look: Look, archive: Running) -> None:
    page = look(archive, timezone_id="America/New_York").open(f"#{TALK}@1")
    settled(page)
    at = page.locator(".event-time time").first
    own, utc = at.inner_text(), str(at.get_attribute("datetime"))[11:23]
    title = str(at.get_attribute("title"))
    assert own != utc
    assert "UTC−5" in title
    assert title.endswith(f"{utc}Z")
    page.get_by_role("button", name="UTC−5").click()
    expect(at).to_have_text(utc)
    page.reload()
    expect(at).to_have_text(utc)
    page.get_by_role("button", name="All times are in UTC").click()
    expect(at).to_have_text(own)


def test_where_the_readers_own_zone_is_utc_there_is_nothing_to_choose(look: Look, server: Running) -> None:
    page = look(server).open()
    settled(page)
    expect(page.get_by_role("banner").get_by_text("UTC", exact=True)).to_be_visible()
    expect(page.locator("button.zone")).to_have_count(0)


# --- where the focus is -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ["", "#/audit", "#/integrity"])
def test_signing_in_begins_at_the_first_field_and_ends_at_the_views_heading(
    look: Look, guarded_server: Running, route: str
) -> None:
    window = look(guarded_server)
    window.announce("401")
    page = window.open(route)
    expect(page.get_by_label("User")).to_be_focused()
    sign_in(page, "olga", PASSWORD)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    expect(page.locator(".loading")).to_have_count(0)
    expect(page.locator(HEADING)).to_be_focused()


@pytest.fixture(scope="module")
def guarded_server(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Running:
    folder = tmp_path_factory.mktemp("users")
    return serve(folder / "callboard.db", **guarded(folder))


def test_escape_leaves_a_search_box_with_what_was_typed_and_keys_work_again(look: Look, server: Running) -> None:
    page = look(server).open()
    settled(page)
    page.keyboard.press("/")
    box = page.get_by_label("Filter these rows")
    expect(box).to_be_focused()
    page.keyboard.type("sailing")
    page.keyboard.press("Escape")
    expect(box).not_to_be_focused()
    expect(box).to_have_value("sailing")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()


def test_a_dialog_begins_at_its_first_field(look: Look, server: Running) -> None:
    stream = f"conversation-{server.conversation()}"
    page = look(server).open(f"#{stream}")
    settled(page)
    page.get_by_role("button", name="Send a command").click()
    expect(page.get_by_role("dialog").locator("select, input, textarea").first).to_be_focused()


# --- on a phone -------------------------------------------------------------------------------------------------


def test_a_phones_first_screen_is_for_what_lives_and_its_controls_can_be_hit(look: Look, server: Running) -> None:
    stream = f"conversation-{server.conversation()}"
    page = look(server, viewport=NARROW).open()
    settled(page)
    first = page.locator(f"tr[data-stream='{stream}']")
    expect(first).to_be_in_viewport()
    header = page.get_by_role("banner").bounding_box()
    assert header is not None
    assert header["height"] <= 48
    page.get_by_role("button", name="Menu").click()
    expect(page.get_by_label("Go to a stream")).to_be_visible()
    banner_says(page, "Ready")
    banner_says(page, "anonymous")
    assert page.evaluate(SMALL) == []
    go_to(page, stream)
    expect(page.locator(HEADING)).to_be_focused()
    expect(page.get_by_role("button", name="Menu")).to_have_attribute("aria-expanded", "false")
    expect(page.get_by_label("Go to a stream")).to_have_count(0)


SMALL = """() => [...document.querySelectorAll("button, select, input, summary, nav a")].filter((it) => {
  const { width, height } = it.getBoundingClientRect();
  return it.checkVisibility() && (width < 24 || height < 24);
}).map((it) => it.outerHTML)"""
