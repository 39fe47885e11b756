"""WAV files: read into the samples they hold, without taking their headers' word for it; and samples to one channel.

Reading is cheap, as it copies nothing but the samples. What touches every sample, `speech_of`, belongs into a worker.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

from msgspec import Struct

from core.media import Container, container_of
from core.ports import TranscriptionFailure

SPEECH_RATE = 16_000
"""Samples a second that speech is recognised at."""
MOST_CHANNELS = 32
RATES = range(1_000, 768_001)

_CODINGS = {2: "ADPCM", 3: "floating point", 6: "A-law", 7: "µ-law", 0x11: "IMA ADPCM", 0x31: "GSM", 0x55: "MP3"}
_PCM, _EXTENSIBLE = 1, 0xFFFE
_FORMAT, _CHUNK, _SUBFORMAT = struct.Struct("<HHIIHH"), struct.Struct("<4sI"), struct.Struct("<H")
_SUBFORMAT_AT = 24
_UNSIGNED = bytes(byte ^ 0x80 for byte in range(256))


class Pcm(Struct, frozen=True, gc=False):
    """Sound as whole frames of `channels` samples of `width` bytes, little-endian; `rate` frames a second."""

    rate: int
    channels: int
    width: int
    frames: bytes

    @property
    def seconds(self) -> float:
        return len(self.frames) / (self.rate * self.channels * self.width)


def read_wav(body: bytes) -> Pcm:
    """The sound in a WAV file. Raises TranscriptionFailure, which names what it is instead or what is wrong with it."""
    container = container_of(body)
    if container is not Container.WAV:
        what = "in no format known here" if container is None else f"{container.value}, for which there is no decoder"
        raise TranscriptionFailure(f"the audio is {what}; send WAV (PCM)")
    if not body.startswith(b"RIFF"):
        raise TranscriptionFailure(f"the audio is a WAV file of the kind {body[:4].decode()}; send plain RIFF")
    layout, frames = None, None
    for name, content in _chunks(body):
        if name == b"fmt ":
            layout = _layout(content)
        elif name == b"data" and frames is None:
            frames = content
    if layout is None or frames is None:
        missing = "format" if layout is None else "sound"
        raise TranscriptionFailure(f"the WAV file is broken: it has no {missing}")
    return _whole(layout, frames)


def _chunks(body: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """The file's parts. A recorder that streams does not know the sound's length beforehand: then it is the rest."""
    view, at = memoryview(body), 12
    while at + _CHUNK.size <= len(body):
        name, size = _CHUNK.unpack_from(body, at)
        at += _CHUNK.size
        if name == b"data" and size == 0:
            size = len(body) - at
        yield name, view[at : at + size]
        at += size + size % 2


def _layout(content: memoryview) -> tuple[int, int, int]:
    """Rate, channels and bytes a sample. Raises TranscriptionFailure."""
    try:
        coding, channels, rate, _, _, bits = _FORMAT.unpack_from(content)
        if coding == _EXTENSIBLE:
            (coding,) = _SUBFORMAT.unpack_from(content, _SUBFORMAT_AT)
    except struct.error:
        raise TranscriptionFailure("the WAV file is broken: its format is cut off") from None
    if coding != _PCM:
        named = _CODINGS.get(coding, f"coding {coding}")
        raise TranscriptionFailure(f"the WAV file holds {named}; send PCM")
    if bits not in {8, 16, 24, 32} or not 1 <= channels <= MOST_CHANNELS or rate not in RATES:
        raise TranscriptionFailure(f"the WAV file is broken: {bits} bits, {channels} channels, {rate} Hz")
    return rate, channels, bits // 8


def _whole(layout: tuple[int, int, int], frames: memoryview) -> Pcm:
    rate, channels, width = layout
    whole = len(frames) - len(frames) % (channels * width)
    if not whole:
        raise TranscriptionFailure("the WAV file holds no sound")
    return Pcm(rate, channels, width, bytes(frames[:whole]))


def write_wav(sound: Pcm) -> bytes:
    """The sound as a WAV file."""
    frame, size = sound.channels * sound.width, len(sound.frames)
    layout = _FORMAT.pack(_PCM, sound.channels, sound.rate, sound.rate * frame, frame, sound.width * 8)
    head = b"RIFF" + (36 + size).to_bytes(4, "little") + b"WAVE"
    return head + _CHUNK.pack(b"fmt ", len(layout)) + layout + _CHUNK.pack(b"data", size) + sound.frames


def speech_of(sound: Pcm) -> bytes:
    """The sound as a recogniser wants it: one channel of 16-bit samples at SPEECH_RATE, in the machine's byte order."""
    return _resampled(_mixed(_samples(sound), sound.channels), sound.rate).tobytes()


def _samples(sound: Pcm) -> array[int]:
    """All samples, of all channels, cut or stretched to 16 bits."""
    raw, width = sound.frames, sound.width
    low = bytearray(len(raw) // width * 2)
    low[1::2] = raw.translate(_UNSIGNED) if width == 1 else raw[width - 1 :: width]
    if width > 1:
        low[0::2] = raw[width - 2 :: width]
    samples = array("h", bytes(low))
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def _mixed(samples: array[int], channels: int) -> array[int]:
    if channels == 1:
        return samples
    voices = [samples[channel::channels] for channel in range(channels)]
    return array("h", (sum(frame) // channels for frame in zip(*voices, strict=True)))


def _resampled(samples: array[int], rate: int) -> array[int]:
    """At SPEECH_RATE: faster ones averaged over each new sample's time, slower ones joined by straight lines."""
    if rate == SPEECH_RATE:
        return samples
    step, count = rate / SPEECH_RATE, len(samples) * SPEECH_RATE // rate
    if rate < SPEECH_RATE:
        return array("h", (int(_between(samples, n * step)) for n in range(count)))
    sums = [0, *accumulate(samples)]
    edges = [_between(sums, n * step) for n in range(count + 1)]
    return array("h", (int((after - before) / step) for before, after in pairwise(edges)))


def _between(values: Sequence[int], at: float) -> float:
    """The value at a place between two of them; the last one holds on."""
    n = min(int(at), len(values) - 1)
    after = values[min(n + 1, len(values) - 1)]
    return values[n] + (after - values[n]) * (at - n)
