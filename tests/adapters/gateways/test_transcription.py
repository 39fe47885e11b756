from __future__ import annotations

from typing import Any

import trio

from adapters.gateways.blobs import MemoryBlobs
from adapters.gateways.transcriber import ScriptedTranscriber
from adapters.gateways.transcription import MAX_AUDIO_BYTES, MAX_TRANSCRIPT, STORE_FAILED, transcribe_performer
from core.messages import Accepted, Outcome
from core.ports import BlobStore, Transcriber, TranscriptionFailure
from core.session import FailTranscription, Media, Request, RequestKind, Session, SucceedTranscription, Transcribe

WAV = b"RIFF\0\0\0\0WAVE"


def asking(*media: Media) -> Session:
    return Session("everybody", open=(Request(7, RequestKind.TRANSCRIPTION, media=media),))


async def kept(blobs: MemoryBlobs, *bodies: bytes) -> tuple[Media, ...]:
    return tuple([Media(await blobs.put(body), len(body), "audio/wav") for body in bodies])


async def told(transcriber: Transcriber, blobs: BlobStore, state: Session, **settings: float) -> list[Any]:
    commands: list[Any] = []

    async def tell(command: Any) -> Outcome:
        commands.append(command)
        return Accepted((), state, 1)

    await transcribe_performer(transcriber, blobs, **settings)(Transcribe(7), state, tell)
    return commands


async def test_the_words_of_all_chunks_are_told_with_the_requests_number() -> None:
    blobs, twin = MemoryBlobs(), ScriptedTranscriber("good morning")
    state = asking(*await kept(blobs, WAV + b"1", b"2", WAV + b"3"))
    assert await told(twin, blobs, state) == [SucceedTranscription(7, "good morning")]
    assert twin.asked == [(WAV + b"12", WAV + b"3")]


async def test_a_failure_is_told_with_its_reason() -> None:
    blobs, twin = MemoryBlobs(), ScriptedTranscriber(TranscriptionFailure("no engine"))
    assert await told(twin, blobs, asking(*await kept(blobs, WAV))) == [FailTranscription(7, "no engine")]


async def test_audio_that_is_gone_is_a_failure() -> None:
    (failure,) = await told(ScriptedTranscriber(), MemoryBlobs(), asking(Media("0" * 64, 3, "audio/wav")))
    assert "not in the blob store" in failure.error


class BrokenBlobs(MemoryBlobs):
    async def get(self, digest: str) -> bytes | None:
        raise OSError(5, "Input/output error", "/secret/path")


async def test_a_store_that_cannot_be_read_is_a_failure_that_names_no_path() -> None:
    state = asking(Media("0" * 64, 3, "audio/wav"))
    assert await told(ScriptedTranscriber(), BrokenBlobs(), state) == [FailTranscription(7, STORE_FAILED)]


async def test_too_much_audio_is_not_even_read() -> None:
    state = asking(Media("0" * 64, MAX_AUDIO_BYTES, "audio/wav"), Media("0" * 64, 1, "audio/wav"))
    (failure,) = await told(ScriptedTranscriber(), BrokenBlobs(), state)
    assert "at most" in failure.error


async def test_a_transcript_is_bounded() -> None:
    blobs, twin = MemoryBlobs(), ScriptedTranscriber("x" * (MAX_TRANSCRIPT + 1))
    (success,) = await told(twin, blobs, asking(*await kept(blobs, WAV)))
    assert len(success.transcript) == MAX_TRANSCRIPT


async def test_what_is_wanted_no_more_is_not_begun() -> None:
    assert await told(ScriptedTranscriber(), BrokenBlobs(), Session("everybody")) == []


class Stuck:
    name = "stuck"

    async def transcribe(self, clips: object) -> str:
        await trio.sleep_forever()
        raise AssertionError


async def test_a_transcriber_that_never_answers_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    blobs = MemoryBlobs()
    (failure,) = await told(Stuck(), blobs, asking(*await kept(blobs, WAV)), timeout=60.0)
    assert failure.error == "the transcription took longer than 60 s"
