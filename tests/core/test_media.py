from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.media import Container, clips_of, container_of, media_type_of

WAV = b"RIFF\0\0\0\0WAVEfmt "
OGG_FIRST, OGG_NEXT = b"OggS\0\2first", b"OggS\0\0next"


@pytest.mark.parametrize(
    ("body", "container", "audio", "video"),
    [
        (WAV, Container.WAV, "audio/wav", "audio/wav"),
        (b"\x1aE\xdf\xa3", Container.WEBM, "audio/webm", "video/webm"),
        (OGG_FIRST, Container.OGG, "audio/ogg", "video/ogg"),
        (b"\0\0\0\x18ftypmp42", Container.MP4, "audio/mp4", "video/mp4"),
        (b"ID3\4", Container.MP3, "audio/mpeg", "audio/mpeg"),
        (b"\xff\xfb\x90\x64", Container.MP3, "audio/mpeg", "audio/mpeg"),
        (b"\xff\xff\xff\xff", None, "application/octet-stream", "application/octet-stream"),
        (b"\xff\xd8\xff\xe0", Container.JPEG, "image/jpeg", "image/jpeg"),
        (b"RIFF\0\0\0\0AVI ", None, "application/octet-stream", "application/octet-stream"),
        (b"", None, "application/octet-stream", "application/octet-stream"),
    ],
)
def test_the_first_bytes_say_what_it_is(body: bytes, container: Container | None, audio: str, video: str) -> None:
    assert container_of(body) is container
    assert media_type_of(body, "audio") == audio
    assert media_type_of(body, "video") == video


def test_chunks_that_announce_nothing_go_on_with_the_clip_before() -> None:
    assert clips_of([WAV, b"rest", WAV, b"\xff\xfb\x90\x64"]) == [WAV + b"rest", WAV + b"\xff\xfb\x90\x64"]
    assert clips_of([OGG_FIRST, OGG_NEXT, OGG_FIRST]) == [OGG_FIRST + OGG_NEXT, OGG_FIRST]
    assert clips_of([b"noise", b"more"]) == [b"noisemore"]
    assert clips_of([]) == []


@given(st.lists(st.binary(max_size=20) | st.sampled_from([WAV, OGG_FIRST, OGG_NEXT])))
def test_no_byte_is_lost_between_clips(chunks: list[bytes]) -> None:
    assert b"".join(clips_of(chunks)) == b"".join(chunks)
