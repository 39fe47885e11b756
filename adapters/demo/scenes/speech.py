"""Spoken audio is written down, while another device's pings are answered as ever (dialect `streams`).

Nobody spoke the recording in this package, `recording.wav` (16 kHz, mono, 16 bits): a voice synthesiser did, by
`flite -voice slt -t 'we will sail on sunday if the wind is good' -o recording.wav`.
"""

from __future__ import annotations

import importlib.util
from base64 import b64encode
from collections.abc import Sequence
from functools import partial
from hashlib import sha256
from importlib import resources
from typing import Any

import trio

from adapters.demo.ear import Ear, listening
from adapters.demo.scenes import Trace
from adapters.demo.server import Server
from adapters.demo.stage import Stage, expect, short_scene
from adapters.protocols.streams import STREAMS
from core.dialect import Frame, Reach
from core.identifiers import Category, StreamName
from core.messages import Recorded
from core.session import MediaReceived

SESSION_ID = "demo-speech"
WORDS = "we will sail on sunday if the wind is good"
CHUNK = 3200
"""Bytes in one frame: what a microphone has after a tenth of a second."""
PING_EVERY = 0.02
"""Seconds between a pong and the next ping."""
WITHIN = 18.0
"""Seconds for it all: the engine leaves the processor to everybody else, so on a busy machine it takes its time."""


def recording() -> bytes:
    """The WAV file that is sent."""
    return (resources.files("adapters.demo") / "recording.wav").read_bytes()


async def play(stage: Stage, server: Server) -> Trace:
    """Raises DemoFailed."""
    url, clip = f"ws://127.0.0.1:{server.port}/api/stream/ws/{SESSION_ID}", recording()
    chunks = [clip[at : at + CHUNK] for at in range(0, len(clip), CHUNK)]
    async with (
        short_scene(stage, "Spoken audio is written down, and nobody waits for it", WITHIN),
        listening(url) as phone,
        listening(url) as laptop,
    ):
        for ear in (phone, laptop):
            await ear.until(lambda frame: frame["type"] == "connection_established")
        await _send(stage, phone, chunks)
        await _write_down(stage, phone, laptop)

    def holds(records: Sequence[Recorded]) -> bool:
        kept = [record.event.media.digest for record in records if isinstance(record.event, MediaReceived)]
        shown = [(frame.body.decode(), frame.to) for frame in map(_frame_of, records) if frame is not None]
        return (
            kept == [sha256(chunk).hexdigest() for chunk in chunks]
            and _logged(phone) == [text for text, _ in shown]
            and _logged(laptop) == [text for text, to in shown if to is Reach.EVERYONE]
        )

    promise = "the audio named by its SHA-256, and every frame that both heard is in it"
    return Trace(StreamName.of(Category.SESSION, SESSION_ID), promise, holds)


async def _send(stage: Stage, phone: Ear, chunks: Sequence[bytes]) -> None:
    for chunk in chunks:
        await phone.send("audio", data=b64encode(chunk).decode())
    await phone.until(lambda _: len(_of_type(phone, "audio_received")) == len(chunks))
    size = f"{sum(map(len, chunks)):,} bytes of WAV in {len(chunks)} chunks"
    stage.line("phone", "streams", f"a synthesiser's voice: {size}")
    stage.line("it", "says", f"“{WORDS}”")


async def _write_down(stage: Stage, phone: Ear, laptop: Ear) -> None:
    """The laptop pings until it hears what was said, too."""
    is_over, pongs = trio.Event(), list[float]()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_ping, laptop, is_over, pongs)
        began = trio.current_time()
        await phone.send("transcription_request")
        ended = await laptop.until(_is_the_end)
        took = trio.current_time() - began
        is_over.set()
    expect(await phone.until(_is_the_end) == ended, "both devices hear the same of the transcription")
    if ended["type"] == "transcription_error":
        expect(importlib.util.find_spec("pocketsphinx") is None, f"the speech is written down, not: {ended['error']}")
        stage.say("no transcript, as PocketSphinx is not installed here: pip install 'callboard[speech]'")
        return
    right = _compare(stage, ended["transcript"])
    stage.say(f"{right} words right, in {took:.1f} s, by PocketSphinx in a process of its own")
    expect(len(pongs) > 2, "pings are answered while speech is written down")
    stage.say(f"meanwhile the laptop sent {len(pongs)} pings: all answered, the slowest in {max(pongs) * 1000:.1f} ms")


async def _ping(ear: Ear, is_over: trio.Event, pongs: list[float]) -> None:
    """Ping until it is over; `pongs` grows by the seconds each answer took."""
    while not is_over.is_set():
        number = f"ping-{len(pongs)}"
        began = trio.current_time()
        await ear.send("ping", command_id=number)
        await ear.until(partial(_answers, number))
        pongs.append(trio.current_time() - began)
        await trio.sleep(PING_EVERY)


def _compare(stage: Stage, transcript: str) -> str:
    """How many words are right. Raises DemoFailed when they are few."""
    stage.line("both", "hear", f"“{transcript}”")
    said = WORDS.split()
    right = len(set(said) & set(transcript.split()))
    expect(right * 3 > len(said) * 2, f"the transcript says “{WORDS}”")
    return f"{right} of {len(said)}"


def _answers(command_id: str, frame: dict[str, Any]) -> bool:
    return frame.get("command_id") == command_id


def _is_the_end(frame: dict[str, Any]) -> bool:
    return frame["type"] in {"transcription_result", "transcription_error"}


def _of_type(ear: Ear, type: str) -> list[dict[str, Any]]:
    return [frame for frame in ear.frames if frame["type"] == type]


def _logged(ear: Ear) -> list[str | bytes]:
    """What the ear heard of the log."""
    pairs = zip(ear.texts, ear.frames, strict=True)
    return [text for text, frame in pairs if "seq" in frame and frame["type"] != "connection_established"]


def _frame_of(record: Recorded) -> Frame | None:
    return STREAMS.render(record, None)
