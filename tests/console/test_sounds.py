"""Sound that devices sent to a session in chunks, played where one looks at the event of any of them."""

from __future__ import annotations

import io
import wave
from base64 import b64encode
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from hashlib import sha256
from math import ceil
from typing import Any

import pytest
from playwright.sync_api import Locator, WebSocket, expect

from adapters.demo.ear import Ear, listening
from adapters.demo.scenes.speech import recording
from tests.console.conftest import Look
from tests.console.rig import Running, Traffic, Window

CLIP = recording()
MOST_CHUNKS = 1024
"""That the page looks at before a chunk, and behind it."""
MOST_PAGES, PAGE = 40, 50
"""Of events that it asks for to find them."""
RECEIVED = "audio_received", "video_received"
NOT_IN_REACH = "not in reach from its beginning to its end"

Sent = Sequence[tuple[str, str, bytes]]
"""Device, kind and bytes."""
Record = Callable[[Sent], tuple[str, list[int]]]


def cut(clip: bytes, pieces: int) -> list[bytes]:
    size = ceil(len(clip) / pieces)
    return [clip[at : at + size] for at in range(0, len(clip), size)]


def silence(frames: int) -> bytes:
    """A WAV file, at 16 kHz."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, 16_000, 0, "NONE", ""))
        writer.writeframes(bytes(2 * frames))
    return file.getvalue()


def seconds(clip: bytes) -> float:
    with wave.open(io.BytesIO(clip)) as reader:
        return float(reader.getnframes() / reader.getframerate())


def audio(*chunks: bytes, device: str = "phone") -> list[tuple[str, str, bytes]]:
    return [(device, "audio", chunk) for chunk in chunks]


async def send(url: str, sent: Sent) -> None:
    """Each in its turn, by a socket of its device; until all are on record."""
    async with AsyncExitStack() as stack:
        devices = dict.fromkeys(device for device, _, _ in sent)
        ears = {device: await stack.enter_async_context(listening(url)) for device in devices}
        for number, (device, kind, body) in enumerate(sent, 1):
            await ears[device].send(kind, **content(kind, body))
            if number == len(sent) or sent[number][0] != device:
                of_it = sum(sender == device and kind != "chat" for sender, kind, _ in sent[:number])
                await ears[device].until(partial(was_told, ears[device], of_it))


def content(kind: str, body: bytes) -> dict[str, str]:
    return {"message": body.decode()} if kind == "chat" else {"data": b64encode(body).decode()}


def was_told(ear: Ear, received: int, frame: dict[str, Any]) -> bool:
    """Whether so much was received when the frame came, and it is the last."""
    return frame is ear.frames[-1] and [each["type"] in RECEIVED for each in ear.frames].count(True) == received


@pytest.fixture
def record(server: Running, traffic: Traffic, request: pytest.FixtureRequest) -> Record:
    """Sends media to a session of the test's own; answers its stream, and the versions of what was received."""

    def record(sent: Sent) -> tuple[str, list[int]]:
        id = request.node.name[-60:]
        traffic.do(send, f"ws://127.0.0.1:{server.port}/api/stream/ws/{id}", sent)
        told = server.told(f"/api/audit/streams/session-{id}/outline")
        (name,) = [n for n, name in enumerate(told["names"]) if "media_received" in name]
        return f"session-{id}", [version for version, of in enumerate(told["events"], 1) if of == name]

    return record


def event(window: Window, stream: str, version: int) -> Locator:
    """Its panel."""
    page = window.open(f"#{stream}@{version}")
    page.get_by_role("tab", name="Event", exact=True).click()
    return page.locator(f".event[data-version='{version}']")


def heard(window: Window, panel: Locator) -> float:
    """Seconds that the panel's only sound takes, once the browser knows how to play it."""
    sound = panel.locator("audio")
    expect(sound).to_have_count(1)
    window.until(lambda: sound.evaluate("(audio) => audio.readyState >= 1 || audio.error !== null"))
    assert sound.evaluate("(audio) => audio.error?.message ?? null") is None
    return float(sound.evaluate("(audio) => audio.duration"))


def test_a_recording_in_chunks_is_played_whole_from_the_event_of_each(
    look: Look, server: Running, record: Record
) -> None:
    window, (stream, versions) = look(server), record(audio(*cut(CLIP, 4)))
    for version in versions:
        panel = event(window, stream, version)
        assert heard(window, panel) == pytest.approx(seconds(CLIP), abs=0.01)
        expect(panel.locator(".sound")).to_contain_text("audio/wav")
        expect(panel.locator(".sound")).to_contain_text("in 4 pieces")


def test_a_recording_of_many_chunks_is_fetched_when_one_asks_for_it(
    look: Look, server: Running, record: Record
) -> None:
    window, (stream, versions) = look(server), record(audio(*cut(CLIP, 25)))
    asked = list[str]()
    window.page.on("request", lambda request: asked.append(request.url))
    panel = event(window, stream, versions[-1])
    expect(panel.locator(".sound")).to_contain_text("in 25 pieces")
    assert not [url for url in asked if "/blobs/" in url]
    panel.get_by_role("button", name="Fetch it").click()
    assert heard(window, panel) == pytest.approx(seconds(CLIP), abs=0.01)
    assert len([url for url in asked if "/blobs/" in url]) == 25


def test_a_recording_has_no_chunks_of_the_next_one_of_another_device_or_of_another_kind(
    look: Look, server: Running, record: Record
) -> None:
    mine, other, after = cut(CLIP, 3), cut(silence(8000), 2), cut(silence(24_000), 2)
    sent = [
        *audio(mine[0]), *audio(other[0], device="laptop"), *audio(mine[1]), *audio(other[1], device="laptop"),
        *audio(mine[2]), *audio(*after), ("phone", "video", b"of a picture"), *audio(b"of nothing"),
    ]  # fmt: skip
    window, (stream, versions) = look(server), record(sent)
    lengths = [heard(window, event(window, stream, versions[n])) for n in (2, 3, 6)]
    assert lengths == pytest.approx([seconds(CLIP), 0.5, 1.5], abs=0.01)
    panel = event(window, stream, versions[8])
    expect(panel).to_contain_text(NOT_IN_REACH)
    expect(panel.locator("audio")).to_have_count(0)


@pytest.mark.parametrize(("chunks", "said_between"), [(MOST_CHUNKS + 2, 0), (MOST_PAGES + 2, PAGE)])
def test_a_recording_that_begins_far_away_is_not_played_and_not_looked_for_for_ever(
    look: Look, server: Running, record: Record, chunks: int, said_between: int
) -> None:
    between = [("phone", "chat", b"It is a long story.")] * said_between
    rest = [sent for number in range(chunks - 1) for sent in (*between, *audio(b"%d" % number))]
    window, (stream, versions) = look(server), record([*audio(silence(1)), *rest])
    asked = list[str]()

    def hear(socket: WebSocket) -> None:
        socket.on("framesent", lambda text: asked.append(str(text)))

    window.page.on("websocket", hear)
    panel = event(window, stream, versions[-1])
    expect(panel).to_contain_text(NOT_IN_REACH)
    expect(panel.locator("audio")).to_have_count(0)
    assert (
        chunks * (1 + said_between) // PAGE - 2 <= len([text for text in asked if '"page"' in text]) <= MOST_PAGES + 4
    )


def test_a_recording_of_which_bytes_are_gone_says_so_and_plays_nothing(
    look: Look, server: Running, record: Record
) -> None:
    chunks = cut(CLIP, 3)
    window, (stream, versions) = look(server), record(audio(*chunks))
    window.announce("404")
    gone = sha256(chunks[1]).hexdigest()
    window.page.route(f"**/blobs/{gone}*", lambda route: route.fulfill(status=404, json={"detail": "No such bytes"}))
    panel = event(window, stream, versions[2])
    expect(panel).to_contain_text("cannot be played")
    expect(panel).to_contain_text("No such bytes")
    expect(panel.locator("audio")).to_have_count(0)
