"""Travel in a stream's past: its states, what changed, what was sent, what caused what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import Look
from tests.console.rig import Running, callboard

TALK = "conversation-01a1fe4a-0b25-7062-b75a-5964769a5b8e"
WEATHER = "conversation-01a1fe4a-0f8e-7146-82a9-f646fca5a3d4"


def version(page: Page) -> int:
    return int(page.get_by_role("slider", name="Version of the stream").input_value())


def state(page: Page, at: int) -> Any:
    """The state that is shown, once it is that of the version, as its button copies it."""
    expect(page.locator(f".state[data-version='{at}'][aria-busy='false']")).to_be_visible()
    page.get_by_role("button", name="Copy as JSON").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    return json.loads(page.evaluate("() => navigator.clipboard.readText()"))


def replayed(log: Path, stream: str, at: int) -> Any:
    return json.loads(callboard("replay", stream, "--at", str(at), "--store", f"sqlite:///{log}"))["state"]


def slide(page: Page, at: int) -> None:
    page.get_by_role("slider", name="Version of the stream").fill(str(at))


@pytest.mark.parametrize(("stream", "moments"), [(TALK, (23, 54)), ("call-demo", (7,))])
def test_the_state_at_an_event_is_what_the_command_line_replays(
    look: Look, archive: Running, past: Path, stream: str, moments: tuple[int, ...]
) -> None:
    window = look(archive)
    window.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = window.open(f"#{stream}")
    for at in moments:
        slide(page, at)
        assert state(page, at) == replayed(past, stream, at)


def test_keys_and_buttons_go_through_the_stream(look: Look, archive: Running) -> None:
    page = look(archive).open("#call-demo@10")
    expect(page.locator(".state[data-version='10']")).to_be_visible()
    for key, at in {
        "ArrowRight": 11, "ArrowLeft": 10, "Shift+ArrowRight": 20, "Shift+ArrowLeft": 10, "Home": 0, "End": 29,
    }.items():  # fmt: skip
        page.keyboard.press(key)
        expect(page.locator(f".state[data-version='{at}']")).to_be_visible()
    for name, at in {"To the beginning": 0, "One event on": 1, "To the end": 29, "One event back": 28}.items():
        page.get_by_role("button", name=name).click()
        expect(page.locator(f".state[data-version='{at}']")).to_be_visible()
    page.wait_for_function("() => location.hash === '#call-demo@28'")


def test_playing_goes_to_the_end_at_the_speed_that_was_chosen(look: Look, archive: Running) -> None:
    page = look(archive).open("#call-demo@0")
    speed = page.get_by_role("combobox", name="Speed")
    speed.select_option(speed.locator("option").first.get_attribute("value"))  # the call took half a second
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.locator(".state[data-version='29']")).to_be_visible()
    expect(page.get_by_role("button", name="Play")).to_be_visible()


def test_a_link_leads_to_one_event_and_the_address_follows_where_one_goes(look: Look, archive: Running) -> None:
    page = look(archive).open(f"#{WEATHER}@12")
    expect(page.locator(".state[data-version='12']")).to_be_visible()
    assert version(page) == 12
    expect(page.locator("[data-version='12'][aria-selected='true']")).to_be_in_viewport()
    slide(page, 4)
    page.wait_for_function(f"() => location.hash === '#{WEATHER}@4'")
    page.evaluate("() => { location.hash = '#call-demo@3'; }")
    expect(page.get_by_role("heading", level=1)).to_contain_text("demo")
    expect(page.locator(".state[data-version='3']")).to_be_visible()
    page.go_back()
    expect(page.locator(".state[data-version='4']")).to_be_visible()


def test_what_an_event_changed_is_told_by_path_and_marked_in_the_state(
    look: Look, archive: Running, past: Path
) -> None:
    page = look(archive).open(f"#{TALK}@2")
    changes = page.get_by_role("region", name="Changes")
    told = callboard("replay", TALK, "--diff", "1", "2", "--json", "--store", f"sqlite:///{past}")
    paths = [change["path"] for change in json.loads(told)["changes"]]
    assert paths
    for path in paths:
        expect(changes.get_by_text(path, exact=True)).to_be_visible()
    expect(changes.locator("li")).to_have_count(len(paths))
    expect(page.get_by_role("region", name="State", exact=True).locator(".marked").first).to_be_visible()


def test_the_frames_of_an_event_are_those_the_command_line_tells(look: Look, archive: Running, past: Path) -> None:
    page = look(archive).open("#call-demo@0")
    page.get_by_role("tab", name="Frames").click()
    told = callboard("replay", "call-demo", "--frames", "retell", "--json", "--store", f"sqlite:///{past}").splitlines()
    frames = [json.loads(line) for line in told]
    at = {frame["version"] for frame in frames}
    for moment in sorted(at)[:3]:
        slide(page, moment)
        shown = page.locator(f".frames[data-version='{moment}'] section[aria-label='retell'] pre")
        expected = [frame["frame"] for frame in frames if frame["version"] == moment]
        expect(shown).to_have_text(expected)


def test_what_led_to_an_event_and_what_came_of_it_is_told_across_streams(look: Look, archive: Running) -> None:
    page = look(archive).open(f"#{WEATHER}@1")
    published = archive.told("/api/audit/causes/channel-weather-update@2")
    assert published["causes"], "somebody asked for the weather"
    page.get_by_role("tab", name="Causes").click()
    came = page.get_by_role("region", name="It, and what came of it")
    link = came.get_by_role("link", name="@2", exact=False).first
    expect(link).to_be_visible()
    page.evaluate("() => { location.hash = '#channel-weather-update@2'; }")
    expect(page.get_by_role("heading", level=1)).to_contain_text("weather-update")
    page.get_by_role("tab", name="Causes").click()
    led = page.get_by_role("region", name="What led to it")
    first = published["causes"][0]
    led.locator(f"a[href='#{first['stream']}@{first['events'][0]['version']}']").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(first["stream"][-12:])


def test_an_event_is_shown_with_all_that_is_recorded_of_it(look: Look, archive: Running) -> None:
    page = look(archive).open("#call-demo@12")
    page.get_by_role("tab", name="Event", exact=True).click()
    entry = archive.told("/api/audit/events/call-demo@12")
    panel = page.locator(".event[data-version='12']")
    expect(panel).to_contain_text(entry["event"].partition("/")[0])
    expect(panel).to_contain_text(entry["correlation_id"])
    expect(panel).to_contain_text(str(entry["position"]))


def test_pieces_and_lanes_are_left_out_of_the_list_but_not_of_the_way(look: Look, archive: Running) -> None:
    page = look(archive).open(f"#{TALK}@1")
    rows = page.locator(".event-row")
    last = int(page.get_by_role("slider", name="Version of the stream").get_attribute("max") or 0)
    names = archive.told("/api/audit/events", stream=TALK, limit=500)["entries"]
    pieces = [entry["version"] for entry in names if "piece_added" in entry["event"]]
    page.get_by_label("without pieces").check()
    expect(page.get_by_role("grid", name="Events")).to_have_attribute("aria-rowcount", str(last - len(pieces)))
    expect(page.get_by_text(f"{len(pieces)} events left out")).to_be_visible()
    expect(rows.filter(has_text="piece added")).to_have_count(0)
    slide(page, pieces[0] - 1)
    page.keyboard.press("ArrowRight")
    expect(page.locator(f".state[data-version='{pieces[0]}']")).to_be_visible()
    page.get_by_role("button", name="assistant").click()
    expect(page.locator(".event-row .lane-assistant")).to_have_count(0)
    page.reload()
    expect(page.get_by_label("without pieces")).to_be_checked()


def test_frames_of_an_event_that_nobody_heard_say_so(look: Look, archive: Running) -> None:
    id = archive.conversation(topic="sailing")
    archive.message(id, "The dog swam far.")
    query = {"stream": f"conversation-{id}", "event": "conversation.message_said", "newest_first": "true"}
    said = archive.told("/api/audit/events", **query)["entries"][0]
    page = look(archive).open(f"#conversation-{id}@{said['version']}")
    page.get_by_role("tab", name="Frames").click()
    expect(page.locator(".frames pre").first).to_be_visible()
    expect(page.get_by_text("Nobody was listening then.")).to_be_visible()
