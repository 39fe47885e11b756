"""The pictures of the README, made from the demo's log and a server with people on it. `make pictures` renews them."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import trio
from PIL import Image
from playwright.sync_api import expect

from adapters.demo.device import Device
from eventstore.signing import SigningKey
from tests.console.conftest import Look, Serve
from tests.console.rig import Running, Traffic, Window
from tests.console.test_accessibility import settled
from tests.console.test_audit import FOUND
from tests.console.test_clients import ROW as CONNECTION
from tests.console.test_integrity import FIRST

KEPT = Path(__file__).parent / "pictures"
IS_RENEWED = os.environ.get("CALLBOARD_PICTURES") == "renew"
SECONDS = 45.0 if IS_RENEWED else 1.5
"""For how long people talk before the board is drawn."""
MOST_BYTES = 150_000
COLOURS = 256
SIZE = (1280, 800)
TALK = "conversation-01a1fe4a-0b25-7062-b75a-5964769a5b8e"
WEATHER = "conversation-01a1fe4a-0f8e-7146-82a9-f646fca5a3d4"

TALKS = {
    ("sailing", "ada"): "I went sailing yesterday and the wind was stronger than we thought",
    ("cooking", "ben"): "The soup was good but next time I take less salt",
    ("travel", "eve"): "We took the night train to Lisbon and slept very well",
    ("work", "lin"): "My colleague asks whether the meeting could be on Thursday",
    ("weather", "noa"): "It rains since this morning so we stay at home and read",
}


async def talk(port: int, id: str, said: str, pace: float) -> None:
    """A person who dictates, asks and waits, again and again."""
    device = Device(port, id)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(device.run)
        await device.until("state_update")
        words = said.split()
        while True:
            for count in range(1, len(words) + 1):
                await device.say("transcript_update", interim_transcript=" ".join(words[:count]), confidence=0.9)
                await trio.sleep(pace)
            await device.say("transcript_update", final_transcript=said, confidence=0.95)
            await trio.sleep(4 * pace)


@pytest.fixture
def busy(archive: Running, traffic: Traffic) -> Iterator[Running]:
    """The server while people are on it."""
    with ExitStack() as stack:
        for number, ((topic, user), said) in enumerate(TALKS.items()):
            id = archive.conversation(topic=topic, user_id=user)
            scope = traffic.begin(talk, archive.port, id, said, 0.15 + 0.06 * number)
            stack.callback(traffic.stop, scope)
            if number % 2:
                archive.message(id, said)
        stack.enter_context(traffic.talking(archive.port, "/ws-default/hotline-7"))
        stack.enter_context(traffic.talking(archive.port, "/api/stream/ws/workshop"))
        yield archive


@pytest.fixture
def left(archive: Running, traffic: Traffic) -> Running:
    """The server after somebody was on it, and left."""
    id = archive.conversation(topic="sailing", user_id="ada")
    guest = traffic.joined(archive.port, id)
    for number, said in enumerate(["I went sailing yesterday", "The wind was stronger than we thought"], 1):
        archive.message(id, said)
        guest.until("ai_response", times=number)
    guest.leave()
    return archive


@pytest.fixture
def signed(serve: Serve, past: Path, tmp_path: Path) -> Running:
    """A server that signs checkpoints of the log."""
    log, key = tmp_path / "signed.db", tmp_path / "key.pem"
    log.write_bytes(past.read_bytes())
    SigningKey.new(key)
    often = {"CALLBOARD_CHECKPOINT_EVERY": "1", "CALLBOARD_CHECKPOINT_SECONDS": "0.1"}
    return serve(log, CALLBOARD_SIGNING_KEY=str(key), **often)


def take(window: Window, name: str, folder: Path) -> None:
    """Keep what the window shows as a picture."""
    folder = KEPT if IS_RENEWED else folder
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.png"
    window.page.mouse.move(0, 0)
    window.page.screenshot(path=path)
    with Image.open(path) as taken:
        fewer = taken.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    fewer.save(path, optimize=True)
    assert measures(path) == SIZE
    assert path.stat().st_size <= MOST_BYTES


def measures(path: Path) -> tuple[int, int]:
    """Width and height of a PNG."""
    width, height = struct.unpack(">II", path.read_bytes()[16:24])
    return width, height


def the_board(window: Window) -> None:
    page = window.open()
    expect(page.locator("tr[data-stream='call-hotline-7']")).to_be_visible()
    page.wait_for_timeout(SECONDS * 1000)


def a_moment_of_the_past(window: Window) -> None:
    page = window.open(f"#{TALK}@13")
    settled(page)
    expect(page.locator(".state[data-version='13']")).to_be_visible()


def what_led_to_an_event(window: Window) -> None:
    page = window.open(f"#{WEATHER}@8")
    page.get_by_role("tab", name="Causes").click()
    expect(page.locator(".causes[data-version='8']")).to_be_visible()
    settled(page)


def a_call_in_the_dark(window: Window) -> None:
    page = window.open("#call-demo@10")
    settled(page)
    expect(page.locator(".state[data-version='10']")).to_be_visible()


def what_was_said_of_sailing(window: Window) -> None:
    page = window.open("#/audit?text=sailing")
    settled(page)
    page.locator(FOUND).nth(1).get_by_role("button").click()
    expect(page.locator(".audit-details")).to_be_visible()


def what_one_client_saw(window: Window) -> None:
    page = window.open("#/clients")

    def is_noted() -> bool:
        page.get_by_role("button", name="Look again").click()
        return page.locator(CONNECTION).count() > 0

    window.until(is_noted, "the end of the connection is on record")
    page.locator(CONNECTION).first.get_by_role("link").first.click()
    page.get_by_text("The frames it was sent").click()
    page.get_by_text("message said").first.click()
    expect(page.locator(".clients-sent pre").first).to_be_visible()
    settled(page)


def what_the_log_proves(window: Window) -> None:
    page = window.open("#/integrity")

    def is_signed() -> bool:
        page.get_by_role("button", name="Look again").click()
        return page.get_by_text("signed", exact=True).count() > 0

    window.until(is_signed, "there is a checkpoint")
    page.get_by_role("button", name="Verify the log").click()
    expect(page.locator(".integrity-verdict")).to_contain_text("signed up to")
    page.get_by_label("Event", exact=True).fill(FIRST)
    page.get_by_role("button", name="Prove it").click()
    expect(page.get_by_text("This proof shows that")).to_be_visible()
    settled(page)


DRAWN = {
    "board": the_board,
    "time-travel": a_moment_of_the_past,
    "causes": what_led_to_an_event,
    "call-dark": a_call_in_the_dark,
    "audit": what_was_said_of_sailing,
    "client": what_one_client_saw,
    "integrity": what_the_log_proves,
}
SERVERS = {"board": "busy", "client": "left", "integrity": "signed"}


@pytest.mark.parametrize("name", DRAWN if IS_RENEWED else ["causes"])  # that it can be done is shown by one
def test_a_picture_is_drawn(look: Look, request: pytest.FixtureRequest, tmp_path: Path, name: str) -> None:
    server: Running = request.getfixturevalue(SERVERS.get(name, "archive"))
    window = look(server, color_scheme="dark") if name.endswith("-dark") else look(server)
    DRAWN[name](window)
    take(window, name, tmp_path)


@pytest.mark.parametrize("name", DRAWN)
def test_the_pictures_that_are_kept_are_small_and_shown_in_the_readme(name: str) -> None:
    path = KEPT / f"{name}.png"
    assert measures(path) == SIZE
    assert path.stat().st_size <= MOST_BYTES
    assert f"tests/console/pictures/{name}.png" in (Path(__file__).parents[2] / "README.md").read_text()
