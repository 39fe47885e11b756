from __future__ import annotations

import math
import struct
from array import array
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.gateways.wav import SPEECH_RATE, Pcm, read_wav, speech_of, write_wav
from core.ports import TranscriptionFailure

MONO = Pcm(SPEECH_RATE, 1, 2, b"\1\0\2\0\3\0")


def tone(rate: int, channels: int = 1, width: int = 2, seconds: float = 0.1) -> Pcm:
    """440 Hz at half of full scale, the same on every channel."""
    top = 2 ** (8 * width - 1) // 2
    levels = (round(top * math.sin(2 * math.pi * 440 * n / rate)) for n in range(int(rate * seconds)))
    shift = 128 if width == 1 else 0
    frames = ((level + shift).to_bytes(width, "little", signed=width > 1) * channels for level in levels)
    return Pcm(rate, channels, width, b"".join(frames))


def samples(sound: Pcm) -> array[int]:
    return array("h", speech_of(sound))


def refusal_of(body: bytes) -> str:
    with pytest.raises(TranscriptionFailure) as failure:
        read_wav(body)
    return failure.value.reason


@given(
    st.sampled_from([8000, 16_000, 44_100]), st.integers(1, 4), st.integers(1, 4), st.binary(min_size=1, max_size=40)
)
def test_what_was_written_is_read(rate: int, channels: int, width: int, frame: bytes) -> None:
    sound = Pcm(rate, channels, width, frame * channels * width)
    assert read_wav(write_wav(sound)) == sound


@given(st.binary(max_size=80), st.integers(0, 60))
def test_whatever_comes_is_sound_or_refused(noise: bytes, at: int) -> None:
    whole = write_wav(MONO)
    for body in (noise, whole[:at] + noise, whole[:at] + noise + whole[at + len(noise) :]):
        with suppress(TranscriptionFailure):
            assert 0 < len(read_wav(body).frames) <= len(body)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"ID3\4" + bytes(20), "MP3"),
        (b"\xff\xfb\x90\x64" + bytes(20), "MP3"),
        (b"OggS" + bytes(20), "Ogg"),
        (b"\x1aE\xdf\xa3" + bytes(20), "WebM/Matroska"),
        (b"\0\0\0\x20ftypM4A " + bytes(20), "MP4"),
        (b"fLaC" + bytes(20), "FLAC"),
        (b"FORM\0\0\0\0AIFF" + bytes(20), "AIFF"),
        (b"RIFX\0\0\0\0WAVE" + bytes(20), "RIFX"),
        (b"no sound at all", "no format known"),
        (b"", "no format known"),
    ],
)
def test_other_containers_are_refused_by_name(body: bytes, named: str) -> None:
    assert named in refusal_of(body)


@pytest.mark.parametrize(
    ("layout", "named"),
    [
        (struct.pack("<HHIIHH", 3, 1, 16_000, 64_000, 4, 32), "floating point"),
        (struct.pack("<HHIIHH", 7, 1, 8000, 8000, 1, 8), "µ-law"),
        (struct.pack("<HHIIHH", 999, 1, 8000, 8000, 1, 8), "coding 999"),
        (struct.pack("<HHIIHH", 1, 0, 16_000, 0, 0, 16), "0 channels"),
        (struct.pack("<HHIIHH", 1, 1, 0, 0, 2, 16), "0 Hz"),
        (struct.pack("<HHIIHH", 1, 1, 16_000, 0, 2, 12), "12 bits"),
        (struct.pack("<HHIIHH", 0xFFFE, 1, 16_000, 0, 2, 16), "cut off"),
        (b"\1\0", "cut off"),
    ],
)
def test_codings_that_are_no_pcm_and_layouts_that_cannot_be_are_refused(layout: bytes, named: str) -> None:
    head = b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<I", len(layout)) + layout
    assert named in refusal_of(head + b"data\4\0\0\0\0\0\0\0")


def test_a_file_without_its_parts_says_which() -> None:
    whole = write_wav(MONO)
    assert "no sound" in refusal_of(whole[:36])
    assert "no format" in refusal_of(whole[:12] + whole[36:])
    assert "holds no sound" in refusal_of(whole[:44])


def test_an_extensible_format_is_read_by_its_subformat() -> None:
    layout = struct.pack("<HHIIHHHHIH", 0xFFFE, 1, 16_000, 32_000, 2, 16, 22, 16, 4, 1) + bytes(14)
    whole = write_wav(MONO)
    body = whole[:12] + b"fmt " + struct.pack("<I", len(layout)) + layout + whole[36:]
    assert read_wav(body) == MONO


@pytest.mark.parametrize("size", [0, 4, 0xFFFFFFFF, 1000])
def test_a_recorder_that_streamed_its_file_did_not_know_how_long_it_would_be(size: int) -> None:
    whole = write_wav(MONO)
    cut = 4 if size == 4 else 6
    assert read_wav(whole[:40] + struct.pack("<I", size) + whole[44:]).frames == MONO.frames[:cut]


def test_half_a_sample_at_the_end_is_left_out() -> None:
    assert read_wav(write_wav(Pcm(8000, 2, 2, bytes(range(1, 11))))).frames == bytes(range(1, 9))


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize(("channels", "width"), [(1, 2), (2, 2), (1, 1), (3, 3), (2, 4)])
def test_a_tone_stays_the_same_tone_at_any_rate_and_width(rate: int, channels: int, width: int) -> None:
    heard, wanted = samples(tone(rate, channels, width)), samples(tone(SPEECH_RATE))
    assert abs(len(heard) - len(wanted)) <= 1
    # Averaging is a delay of half a sample of the slower rate and takes a little from the top; the last value is held.
    worst = max(abs(one - other) for one, other in list(zip(heard, wanted, strict=False))[:-1])
    assert worst < 16_384 * 0.12


def test_too_fast_a_sound_for_the_rate_is_averaged_away_rather_than_turned_into_another() -> None:
    shrill = Pcm(48_000, 1, 2, struct.pack("<3h", 9000, -9000, 0) * 1000)
    assert max(map(abs, samples(shrill))) < 10
