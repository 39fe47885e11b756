"""The live board: what lives on the server now, as clients come, speak and leave."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path

from playwright.sync_api import Locator, Page, Route, expect

from tests.console.conftest import Look, Serve
from tests.console.rig import Running, Traffic


def row(page: Page, stream: str) -> Locator:
    return page.locator(f'tr[data-stream="{stream}"]')


def cell(page: Page, stream: str, name: str) -> Locator:
    return row(page, stream).locator(f".cell-{name}")


def test_a_conversation_is_there_from_its_first_event_with_its_state_and_who_watches(
    look: Look, server: Running, traffic: Traffic
) -> None:
    page = look(server).open()
    expect(page.get_by_role("heading", name="Board")).to_be_visible()
    id = server.conversation(topic="sailing", user_id="ada")
    stream = f"conversation-{id}"
    expect(row(page, stream)).to_be_visible()
    expect(cell(page, stream, "kind")).to_have_text("conversation")
    expect(cell(page, stream, "state")).to_have_text("idle")
    phone, laptop = traffic.joined(server.port, id), traffic.joined(server.port, id)
    expect(cell(page, stream, "watchers")).to_contain_text("2")
    phone.say("state_change_request", state="listening")
    expect(cell(page, stream, "state")).to_have_text("listening")
    phone.say("transcript_update", final_transcript="I went sailing yesterday", confidence=0.9)
    expect(cell(page, stream, "event")).to_contain_text("I went sailing yesterday")
    expect(page.get_by_role("main")).to_contain_text("I went sailing yesterday")
    phone.say("state_change_request", state="speaking")
    expect(cell(page, stream, "event")).to_contain_text("rejected")
    phone.leave()
    expect(cell(page, stream, "watchers")).to_contain_text("1")
    laptop.leave()
    expect(cell(page, stream, "watchers")).to_contain_text("0")


def test_rows_are_filtered_by_kind_and_state_and_searched_by_name_and_text(
    look: Look, server: Running, traffic: Traffic
) -> None:
    one, other = (f"conversation-{server.conversation()}" for _ in range(2))
    guest = traffic.joined(server.port, other.removeprefix("conversation-"))
    guest.say("transcript_update", interim_transcript="an albatross", confidence=0.9)
    page = look(server).open()
    rows = page.locator("tr[data-stream]")
    expect(row(page, one)).to_be_visible()
    expect(row(page, other)).to_be_visible()
    search = page.get_by_label("Filter these rows")
    search.fill(one[-12:])
    expect(rows).to_have_count(1)
    expect(row(page, one)).to_be_visible()
    search.fill("")
    guest.say("transcript_update", interim_transcript="an albatross again", confidence=0.9)
    search.fill("albatross")
    expect(row(page, other)).to_be_visible()
    expect(rows).to_have_count(1)
    search.fill("nothing is called like this")
    expect(rows).to_have_count(0)
    search.fill("")
    guest.say("state_change_request", state="listening")
    page.get_by_role("combobox", name="State").select_option("listening")
    expect(row(page, one)).to_have_count(0)
    expect(row(page, other)).to_be_visible()
    guest.leave()


def test_calls_and_sessions_are_there_too_and_lead_to_their_streams(
    look: Look, server: Running, traffic: Traffic
) -> None:
    page = look(server).open()
    with traffic.talking(server.port, "/ws-default/board-call"), traffic.talking(server.port, "/api/stream/ws/board"):
        for stream, kind in (("call-board-call", "call"), ("session-board", "session")):
            expect(cell(page, stream, "kind")).to_have_text(kind)
        page.get_by_role("combobox", name="Kind").select_option("call")
        expect(row(page, "session-board")).to_have_count(0)
        row(page, "call-board-call").get_by_role("link").click()
    expect(page.get_by_role("main").get_by_role("heading", level=1)).to_contain_text("board-call")


def test_how_the_server_does_is_said_and_drawn(look: Look, server: Running) -> None:
    id = server.conversation()
    page = look(server).open()
    head = page.locator(".health dt", has_text="Log at").locator("xpath=../dd")
    before = head.inner_text()
    server.message(id, "The wind was stronger than we thought.")
    expect(head).not_to_have_text(before)
    expect(page.locator(".health")).to_contain_text("ready")
    expect(page.locator("canvas, svg.spark, .spark svg").first).to_be_visible()


def test_a_stream_with_traffic_has_its_rate_and_the_depth_of_its_mailbox(
    look: Look, server: Running, traffic: Traffic
) -> None:
    id = server.conversation()
    stream = f"conversation-{id}"
    window = look(server)
    page = window.open()
    for column in ("Events/min", "Mailbox"):
        expect(page.get_by_role("columnheader", name=column)).to_be_visible()
    expect(cell(page, stream, "mailbox")).to_have_text(re.compile(r"^\s*\d+ waiting$"))
    before = a_minute(page, stream)
    guest = traffic.joined(server.port, id)
    for number in range(30):
        guest.say("transcript_update", interim_transcript=f"word {number}", confidence=0.9)
    window.until(lambda: a_minute(page, stream) >= before + 30, "30 more events are in its rate")
    expect(cell(page, stream, "mailbox")).to_have_attribute("title", "0 letters waiting")
    guest.leave()


def a_minute(page: Page, stream: str) -> int:
    """How many events of the last minute its row tells."""
    return int(cell(page, stream, "rate").inner_text().strip().removesuffix("/min"))


def test_letters_that_wait_are_counted_and_many_of_them_stand_out(look: Look, server: Running) -> None:
    stream = f"conversation-{server.conversation()}"
    window = look(server)
    waiting = [0]

    def told(route: Route) -> None:
        answer = route.fetch()
        board = answer.json()
        for each in board["streams"]:
            each["mailbox"] = waiting[0]
        route.fulfill(response=answer, json=board)

    window.page.route("**/api/console/board*", told)
    page = window.open()
    expect(cell(page, stream, "mailbox")).to_have_text(re.compile("0 waiting"))
    waiting[0] = 250
    expect(cell(page, stream, "mailbox")).to_have_attribute("title", "250 letters waiting")
    expect(cell(page, stream, "mailbox")).to_have_class(re.compile(r"\bwarn\b"))
    page.unroute_all(behavior="wait")


def test_four_lines_tell_commands_commits_fan_out_and_latency_in_words_too(
    look: Look, serve: Serve, traffic: Traffic, tmp_path: Path
) -> None:
    server = serve(tmp_path / "callboard.db")  # in memory nothing is committed
    id = server.conversation()
    guest = traffic.joined(server.port, id)
    window = look(server)
    page = window.open()
    lines = page.get_by_role("region", name="The server's work").get_by_role("img")
    expect(lines).to_have_count(4)
    said = count()

    def all_are_known() -> bool:
        guest.say("transcript_update", interim_transcript=f"word {next(said)}", confidence=0.9)
        return all(
            page.get_by_role("img", name=re.compile(rf"^{label}, .*: now .*, at most [\d,.]*[1-9]")).count() == 1
            for label in ("Commands", "Commits", "Fan-out", "Commit latency")
        )

    window.until(all_are_known, "each line has told of something")
    expect(lines.locator("canvas")).to_have_count(4)
    guest.leave()


def test_a_paused_board_stays_as_it_is(look: Look, server: Running) -> None:
    server.conversation()
    page = look(server).open()
    expect(page.locator("tr[data-stream]").first).to_be_visible()
    page.keyboard.press("p")
    expect(page.get_by_role("button", name="Go on")).to_be_visible()
    stream = f"conversation-{server.conversation()}"
    second = look(server).open()
    expect(row(second, stream)).to_be_visible()
    assert row(page, stream).count() == 0
    page.keyboard.press("p")
    expect(row(page, stream)).to_be_visible()


def test_a_server_on_which_nothing_lives_says_so(look: Look, serve: Serve) -> None:
    page = look(serve()).open()
    expect(page.locator("tr[data-stream]")).to_have_count(0)
    expect(page.locator(".empty")).to_be_visible()


def test_what_sleeps_is_told_of_with_its_last_time_and_what_lives_is_not(look: Look, archive: Running) -> None:
    page = look(archive).open()
    lately = page.get_by_role("region", name="Lately")
    asleep = lately.get_by_role("link", name="call-demo")
    expect(asleep).to_have_attribute("href", "#call-demo")
    expect(lately.get_by_role("listitem").filter(has_text="all-demo")).to_contain_text("29 events")
    expect(page.get_by_text("others sleep")).to_be_visible()
    id = "01a1fe4a-0f8e-7146-82a9-f646fca5a3d4"
    woken = lately.get_by_role("link", name=f"conversation-{id}")
    expect(woken).to_be_visible()
    archive.message(id, "Good morning")
    expect(row(page, f"conversation-{id}")).to_be_visible()
    expect(woken).to_have_count(0)
    page.get_by_label("Filter these rows").fill("7062-b75a")
    expect(asleep).to_have_count(0)
    expect(lately.get_by_role("link", name="conversation-01a1fe4a-0b25-7062-b75a-5964769a5b8e")).to_be_visible()


def test_what_no_row_has_can_be_searched_for_in_the_whole_log(look: Look, archive: Running) -> None:
    page = look(archive).open()
    page.get_by_label("Filter these rows").fill("an albatross & more")
    page.get_by_role("link", name="Search the whole log for “an albatross & more”").click()
    expect(page.get_by_role("heading", name="Audit")).to_be_visible()
    expect(page.locator("#audit-text")).to_have_value("an albatross & more")


def test_totals_say_since_when_and_before_anything_happens_the_last_events_are_shown(
    look: Look, server: Running
) -> None:
    stream = f"conversation-{server.conversation()}"
    page = look(server).open()
    since = page.locator(".since-start")
    expect(since).to_contain_text("Since the start")
    expect(since).to_contain_text("actor restarts")
    expect(since).to_contain_text("rejected")
    newest = page.get_by_role("region", name="Newest events")
    expect(newest.get_by_title(stream)).to_be_visible()
