"""The stream view while its stream lives: the tail, who follows it, and a server that goes away and comes back."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.conftest import Look, Serve
from tests.console.rig import Guest, Running, Traffic

LOST = (
    "WebSocket connection", "ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE",
    "ERR_CONTENT_LENGTH_MISMATCH", "503",
)  # fmt: skip
"""What a browser has to say where a server goes away."""


@pytest.fixture(scope="module")
def server(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Running:
    """One with a log in a file, as only those are audited."""
    return serve(tmp_path_factory.mktemp("live") / "callboard.db")


def rows(page: Page) -> Locator:
    return page.get_by_role("grid", name="Events")


def shows(page: Page, version: int) -> None:
    """Wait until that is the last event of the list."""
    expect(rows(page)).to_have_attribute("aria-rowcount", str(version))


def scroll_to(box: Locator, row: Locator, top: int) -> None:
    """As somebody does who goes on scrolling until it is there: what comes in that very moment takes one to the end."""
    for _ in range(10):
        box.evaluate("(box, top) => { box.scrollTop = top; }", top)
        with suppress(AssertionError):
            expect(row).to_be_visible(timeout=2000)
            return
    expect(row).to_be_visible()


def whole_list(page: Page) -> list[tuple[int, str, str]]:
    """Every row of the list by version, event and what it says, from the first to the last."""
    box, read = rows(page), dict[int, tuple[int, str, str]]()
    last = int(box.get_attribute("aria-rowcount") or 0)
    while len(read) < last:
        row = box.locator(f"[data-version='{len(read) + 1}']")
        scroll_to(box, row, 28 * len(read))
        expect(box.get_by_text("…", exact=True)).to_have_count(0)
        for version, event, says in box.evaluate(READ):
            read.setdefault(version, (version, event, says))
    return [read[version] for version in sorted(read)]


READ = """(box) => [...box.querySelectorAll("[data-version]")].map((row) => [
  Number(row.dataset.version), row.querySelector(".event-name").title, row.querySelector(".event-says").textContent])"""


def logged(server: Running, stream: str) -> list[tuple[int, str]]:
    """All events of the stream, as the audit tells them."""
    entries = server.told("/api/audit/events", stream=stream, limit=500)["entries"]
    return [(entry["version"], entry["event"].partition("/")[0]) for entry in entries]


def speak(guest: Guest, *numbers: int) -> None:
    for number in numbers:
        guest.say("transcript_update", interim_transcript=f"word {number}", confidence=0.9)
        guest.until("transcript_update", interim_transcript=f"word {number}")


def test_the_list_has_every_event_and_grows_with_the_stream(look: Look, server: Running, traffic: Traffic) -> None:
    id = server.conversation(topic="sailing")
    guest = traffic.joined(server.port, id)
    page = look(server).open(f"#conversation-{id}")
    shows(page, 2)
    speak(guest, *range(60))
    shows(page, 62)
    read = whole_list(page)
    assert [(version, event) for version, event, _ in read] == logged(server, f"conversation-{id}")
    assert [says for _, _, says in read if "word" in says] == [f"“word {number}…”" for number in range(60)] or [
        number for number, (_, _, says) in enumerate(read[2:]) if f"word {number}" in says
    ] == list(range(60))
    guest.leave()


def test_lanes_tell_who_did_what(look: Look, archive: Running) -> None:
    page = look(archive).open("#call-demo")
    axis = page.get_by_role("slider", name="Event on the time axis")
    expect(axis).to_have_attribute("aria-valuemax", "29")
    page.get_by_text("As a table").click()
    table = page.locator(".lane-table table")
    outline = archive.told("/api/audit/streams/call-demo/outline")
    lanes = ["person", "assistant", "tools", "devices", "system"]
    for number, lane in enumerate(lanes):
        amount = outline["lanes"].count(number)
        if amount:
            expect(table.locator("tr", has=page.get_by_role("rowheader", name=lane))).to_contain_text(str(amount))
    drawn = page.locator(".lane-box canvas").evaluate(
        "(it) => { const {width, height} = it, c = it.getContext('2d').getImageData(0, 0, width, height).data;"
        " return new Set(Array.from({length: c.length / 4}, (_, n) => c.slice(4 * n, 4 * n + 3).join())).size; }"
    )
    assert drawn > 4, "there are colours on the axis"


def test_the_tail_is_followed_at_the_end_and_nowhere_else(look: Look, server: Running, traffic: Traffic) -> None:
    id = server.conversation()
    guest = traffic.joined(server.port, id)
    speak(guest, *range(60))
    page = look(server).open(f"#conversation-{id}")
    shows(page, 62)
    last, box = page.locator(".event-row[data-version='62']"), rows(page)
    expect(last).to_be_in_viewport()
    expect(page.get_by_text("at the end, following")).to_be_visible()
    speak(guest, 60)
    expect(page.locator(".event-row[data-version='63']")).to_be_in_viewport()
    box.evaluate("(box) => { box.scrollTop = 0; }")
    expect(page.get_by_text("in the past")).to_be_visible()
    speak(guest, 61, 62)
    shows(page, 65)
    expect(page.get_by_role("button", name="2 new events")).to_be_visible()
    assert box.evaluate("(box) => box.scrollTop") == 0
    expect(page.locator(".event-row[data-version='63']")).to_have_count(0)
    page.get_by_role("button", name="2 new events").click()
    expect(page.locator(".event-row[data-version='65']")).to_be_in_viewport()
    speak(guest, 63)
    expect(page.locator(".event-row[data-version='66']")).to_be_in_viewport()
    guest.leave()


def test_over_a_restart_the_view_comes_back_by_itself_with_each_event_once(
    look: Look, serve: Serve, traffic: Traffic, tmp_path: Path
) -> None:
    server = serve(tmp_path / "callboard.db", CALLBOARD_GRACEFUL_TIMEOUT="1")
    id = server.conversation(topic="sailing")
    stream = f"conversation-{id}"
    guest = traffic.joined(server.port, id)
    window, board = look(server), look(server)
    for each in (window, board):
        each.announce(*LOST)
    page = window.open(f"#{stream}")
    beside = board.open()
    speak(guest, *range(10))
    shows(page, 12)
    for begin, go in ((10, server.kill), (30, server.terminate)):
        go()
        expect(page.get_by_text("Not connected; it comes back")).to_be_visible()
        expect(page.get_by_role("banner")).to_contain_text("Connection lost")
        expect(beside.get_by_role("main")).to_contain_text("Not up to date")
        server.start()
        guest.say("heartbeat")  # it is back
        speak(guest, *range(begin, begin + 10))
        expect(page.get_by_role("banner")).to_contain_text("Live")
        expect(page.get_by_text("Not connected; it comes back")).to_have_count(0)
        speak(guest, *range(begin + 10, begin + 20))
        expected = logged(server, stream)
        shows(page, len(expected))
        expect(page.locator(f".event-row[data-version='{len(expected)}']")).to_be_in_viewport()
    read = whole_list(page)
    assert [(version, event) for version, event, _ in read] == logged(server, stream)
    words = [says for _, event, says in read if event == "conversation.interim_heard"]
    assert [number for number in range(50) if f"word {number}" in words[number]] == list(range(50))
    expect(beside.get_by_role("main")).not_to_contain_text("Not up to date")
    expect(beside.get_by_role("banner")).to_contain_text("Live")
    speak(guest, 50)
    expect(beside.locator(f"tr[data-stream='{stream}'] .cell-event")).to_contain_text("word 50")
    guest.leave()


def test_where_the_log_is_another_one_after_a_restart_nothing_of_the_old_one_stays(
    look: Look, serve: Serve, traffic: Traffic
) -> None:
    server = serve()
    id = server.conversation()
    window = look(server)
    window.announce(*LOST, "404")
    page = window.open(f"#conversation-{id}")
    shows(page, 1)
    server.kill()
    expect(page.get_by_text("Not connected; it comes back")).to_be_visible()
    server.start()
    expect(page.get_by_text("There is no such stream")).to_be_visible()
