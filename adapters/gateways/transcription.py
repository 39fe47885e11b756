"""The performer of `Transcribe`: the audio a session names comes from the blob store, its words go to the session."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import structlog
import trio

from actors.effects import Tell
from core.media import clips_of
from core.ports import BlobStore, Transcriber, TranscriptionFailure
from core.session import FailTranscription, Media, Session, SucceedTranscription, Transcribe

MAX_AUDIO_BYTES = 64 * 1024 * 1024
"""Of all chunks of one transcription together: they are in memory at one time."""
MAX_TRANSCRIPT = 100_000
"""Characters of a transcript that are kept."""
STORE_FAILED = "the audio cannot be read now"

log = structlog.get_logger("callboard.transcription")


def transcribe_performer(
    transcriber: Transcriber, blobs: BlobStore, *, timeout: float = 3600.0
) -> Callable[[Transcribe, Session, Tell], Awaitable[None]]:
    """A performer that lets `transcriber` write down what is in `blobs`. It has `timeout` seconds, its queue included.

    Performed again after a crash, it is the same audio again, and the session takes the first answer.
    """

    async def perform(effect: Transcribe, state: Session, tell: Tell) -> None:
        request = state.numbered(effect.number)
        if request is None:
            return
        try:
            with trio.fail_after(timeout):
                transcript = await transcriber.transcribe(clips_of(await _read(blobs, request.media)))
        except TranscriptionFailure as failure:
            log.warning("no transcript", transcriber=transcriber.name, reason=failure.reason)
            await tell(FailTranscription(effect.number, failure.reason))
        except trio.TooSlowError:
            await tell(FailTranscription(effect.number, f"the transcription took longer than {timeout:g} s"))
        else:
            await tell(SucceedTranscription(effect.number, transcript[:MAX_TRANSCRIPT]))

    return perform


async def _read(blobs: BlobStore, media: Sequence[Media]) -> list[bytes]:
    """The bytes of all chunks. Raises TranscriptionFailure."""
    if (size := sum(chunk.size for chunk in media)) > MAX_AUDIO_BYTES:
        raise TranscriptionFailure(f"at most {MAX_AUDIO_BYTES} bytes of audio are transcribed at once, not {size}")
    return [await _fetch(blobs, chunk.digest) for chunk in media]


async def _fetch(blobs: BlobStore, digest: str) -> bytes:
    try:
        body = await blobs.get(digest)
    except OSError as fault:
        log.error("a blob cannot be read", digest=digest, reason=str(fault))  # noqa: TRY400  # the reason says it all
        raise TranscriptionFailure(STORE_FAILED) from fault
    if body is None:
        raise TranscriptionFailure("the audio is not in the blob store any more")
    return body
