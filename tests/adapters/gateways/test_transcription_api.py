from __future__ import annotations

import gc
from typing import Any

import pytest
import trio

from adapters.gateways.transcription_api import OpenAITranscriber
from adapters.gateways.wav import Pcm, read_wav, write_wav
from core.ports import TranscriptionFailure
from tests.adapters.gateways.model_server import FOREVER, ModelServer, refusal, serving

KEY = "sk-secret"
WAV = write_wav(Pcm(16_000, 1, 2, b"\1\0" * 8))
WEBM = b"\x1aE\xdf\xa3 a recording"


def json_answer(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


HELLO = (json_answer(b'{"text": " Hello there. "}'),)


def transcriber_at(server: ModelServer, **settings: Any) -> OpenAITranscriber:
    return OpenAITranscriber(KEY, server.url, "tiny", **({"backoff": 0.001, "timeout": 5.0} | settings))


async def failure_of(transcriber: OpenAITranscriber, *clips: bytes) -> TranscriptionFailure:
    with trio.fail_after(20), pytest.raises(TranscriptionFailure) as failure:
        await transcriber.transcribe(clips or [WAV])
    return failure.value


@pytest.fixture(autouse=True)
def nothing_is_left_to_the_garbage_collector() -> Any:
    yield
    gc.collect()


async def test_the_words_come_back_and_the_file_is_named_by_what_it_is() -> None:
    async with serving(HELLO) as server:
        assert await transcriber_at(server).transcribe([WEBM]) == "Hello there."
    (request,) = server.requests
    assert request.startswith(b"POST /v1/audio/transcriptions ")
    assert b'filename="audio.webm"' in request
    assert WEBM in request
    assert b"tiny" in request
    assert b"Bearer sk-secret" in request


async def test_several_wav_files_of_one_kind_travel_as_one() -> None:
    async with serving(HELLO) as server:
        await transcriber_at(server).transcribe([WAV, WAV])
    (request,) = server.requests
    assert read_wav(request[request.index(b"RIFF") :]).frames.startswith(read_wav(WAV).frames * 2)


async def test_files_of_several_kinds_are_asked_for_one_by_one() -> None:
    other = write_wav(Pcm(8000, 1, 2, b"\1\0" * 8))
    async with serving(HELLO) as server:
        assert await transcriber_at(server).transcribe([WAV, WEBM]) == "Hello there. Hello there."
        await transcriber_at(server).transcribe([WAV, other])
    assert len(server.requests) == 4


async def test_what_no_server_could_read_is_not_sent() -> None:
    async with serving(HELLO) as server:
        assert "no format known" in (await failure_of(transcriber_at(server), b"noise")).reason
        assert "PNG" in (await failure_of(transcriber_at(server), b"\x89PNG\r\n")).reason
    assert server.requests == []


async def test_a_passing_failure_is_tried_again() -> None:
    async with serving((refusal("503 Busy"),), (refusal("429 Slow down"),), HELLO) as server:
        assert await transcriber_at(server).transcribe([WAV]) == "Hello there."


async def test_at_last_it_is_given_up_and_says_when_to_come_back() -> None:
    async with serving((refusal("429 Slow down", "retry-after: 30"),)) as server:
        failure = await failure_of(transcriber_at(server))
    assert failure.retry_after == 30
    assert "the transcription server is asked too often" in failure.reason
    async with serving((refusal("500 Oh"),)) as server:
        assert "server failed (500)" in (await failure_of(transcriber_at(server, attempts=2))).reason
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("moves", "named"),
    [
        ((refusal("401 No"),), "refused the API key"),
        ((json_answer(b'{"words": 3}'),), "answer that is none"),
        ((json_answer(b"<html>"),), "answer that is none"),
        ((), "cannot be reached"),
        ((b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{",), "cannot be reached"),
    ],
)
async def test_nonsense_and_refusals_are_failures_with_a_reason_and_without_the_key(
    moves: tuple[bytes | float, ...], named: str
) -> None:
    async with serving(moves) as server:
        reason = (await failure_of(transcriber_at(server))).reason
    assert named in reason
    assert KEY not in reason


async def test_a_server_that_says_nothing_is_not_waited_for_for_ever() -> None:
    async with serving((FOREVER,)) as server:
        assert "said nothing for 0.2 s" in (await failure_of(transcriber_at(server, timeout=0.2))).reason
