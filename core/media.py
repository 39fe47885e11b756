"""What a clip of audio or video is, told by its first bytes, and which chunks of a stream belong to one clip."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Container(StrEnum):
    """How sound or pictures are packed; the value is what people call it."""

    WAV = "WAV"
    MP3 = "MP3"
    OGG = "Ogg"
    WEBM = "WebM/Matroska"
    MP4 = "MP4"
    FLAC = "FLAC"
    AIFF = "AIFF"
    JPEG = "JPEG"
    PNG = "PNG"


MEDIA_TYPES = {
    Container.WAV: "audio/wav",
    Container.MP3: "audio/mpeg",
    Container.FLAC: "audio/flac",
    Container.AIFF: "audio/aiff",
    Container.JPEG: "image/jpeg",
    Container.PNG: "image/png",
}
"""Of those that hold one kind of thing."""
SUBTYPES = {Container.OGG: "ogg", Container.WEBM: "webm", Container.MP4: "mp4"}
"""Of those that hold sound or pictures."""
UNKNOWN_TYPE = "application/octet-stream"

_MAGIC = (
    (0, b"\x1aE\xdf\xa3", Container.WEBM),
    (0, b"OggS", Container.OGG),
    (4, b"ftyp", Container.MP4),
    (0, b"ID3", Container.MP3),
    (0, b"fLaC", Container.FLAC),
    (0, b"\xff\xd8\xff", Container.JPEG),
    (0, b"\x89PNG", Container.PNG),
)
_OGG_FLAGS, _OGG_BEGINS = 5, 2


def container_of(body: bytes) -> Container | None:
    """What `body` is packed in, None when its first bytes say nothing we know."""
    return _announced(body) or (Container.MP3 if _is_mpeg_audio(body) else None)


def _announced(body: bytes) -> Container | None:
    """As above, but only by a mark that no sound begins with by chance."""
    if body[:4] in {b"RIFF", b"RIFX", b"RF64"} and body[8:12] == b"WAVE":
        return Container.WAV
    if body[:4] == b"FORM" and body[8:12] in {b"AIFF", b"AIFC"}:
        return Container.AIFF
    return next((kind for at, magic, kind in _MAGIC if body.startswith(magic, at)), None)


def _is_mpeg_audio(body: bytes) -> bool:
    """A frame of MPEG audio: eleven set bits, then a version, a layer and rates that exist."""
    if len(body) < 4 or body[0] != 0xFF or body[1] & 0xE0 != 0xE0:
        return False
    version, layer = body[1] >> 3 & 3, body[1] >> 1 & 3
    return version != 1 and layer != 0 and body[2] >> 4 not in {0, 15} and body[2] >> 2 & 3 != 3


def media_type_of(body: bytes, kind: str) -> str:
    """The media type of `body`, which is said to be of `kind`: `audio` or `video`."""
    container = container_of(body)
    if container is None:
        return UNKNOWN_TYPE
    return MEDIA_TYPES.get(container) or f"{kind}/{SUBTYPES[container]}"


def clips_of(chunks: Iterable[bytes]) -> list[bytes]:
    """Chunks of a stream as whole clips: a chunk that announces no container of its own goes on with the one before.

    Recorders send it either way: each chunk a file by itself, or one file cut into chunks.
    """
    clips: list[list[bytes]] = []
    for chunk in chunks:
        if not clips or _begins(chunk):
            clips.append([])
        clips[-1].append(chunk)
    return [b"".join(clip) for clip in clips]


def _begins(chunk: bytes) -> bool:
    """Every page of an Ogg stream is announced, but only its first one begins it."""
    container = _announced(chunk)
    if container is Container.OGG:
        return len(chunk) > _OGG_FLAGS and bool(chunk[_OGG_FLAGS] & _OGG_BEGINS)
    return container is not None
