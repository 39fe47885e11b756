"""Who writes down speech over an OpenAI-compatible API, with the `openai` package, which is imported when first asked.

Every wait is bounded here, by Trio: the library's own timeouts and retries are off.
"""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable, Sequence
from functools import cache

import trio

from adapters.gateways.model_failures import PassingFailure, failure_of
from adapters.gateways.retries import Retries
from adapters.gateways.wav import Pcm, read_wav, write_wav
from core.media import Container, container_of
from core.ports import ModelFailure, TranscriptionFailure

WHAT = "the transcription server"
DEFAULT_BASE_URL, DEFAULT_MODEL = "https://api.openai.com/v1", "whisper-1"

_SUFFIXES = {
    Container.WAV: "wav", Container.MP3: "mp3", Container.OGG: "ogg", Container.WEBM: "webm", Container.MP4: "mp4",
    Container.FLAC: "flac",
}  # fmt: skip
"""File names' ends, by which the API tells formats apart."""


class OpenAITranscriber:
    """`core.ports.Transcriber` over the audio transcriptions of an OpenAI-compatible API.

    One clip may take `timeout` seconds. A passing failure is tried again, `attempts` times in all, after what the
    server asked for, or else `backoff` seconds doubled from try to try; a server that asks for more than `longest_wait`
    is not waited for. `jitter` gives 0 to 1.
    """

    def __init__(
        self, api_key: str, base_url: str = DEFAULT_BASE_URL, model: str = DEFAULT_MODEL, *, timeout: float = 60.0,
        attempts: int = 3, backoff: float = 0.5, longest_wait: float = 8.0,
        jitter: Callable[[], float] = random.random,
    ) -> None:  # fmt: skip
        self._api_key, self._base_url, self._model = api_key, base_url, model
        self._timeout, self._retries = timeout, Retries(attempts, backoff, longest_wait, jitter)

    @property
    def name(self) -> str:
        return f"openai/{self._model}"

    async def transcribe(self, clips: Sequence[bytes]) -> str:
        """See the port. Several WAV files of one kind travel as one, so that no word is cut between them."""
        files = [(f"audio.{_suffix(clip)}", clip) for clip in _joined(clips)]
        return " ".join(filter(None, [(await self._persist(name, clip)).strip() for name, clip in files]))

    async def _persist(self, name: str, clip: bytes) -> str:
        tried = 0
        while True:
            try:
                return await self._ask(name, clip)
            except PassingFailure as failure:
                tried += 1
                pause = self._retries.pause(tried, failure.retry_after)
                if pause is None:
                    raise TranscriptionFailure(failure.reason, failure.retry_after) from failure
                await trio.sleep(pause)
            except ModelFailure as failure:
                raise TranscriptionFailure(failure.reason, failure.retry_after) from failure

    async def _ask(self, name: str, clip: bytes) -> str:
        """Raises ModelFailure, PassingFailure."""
        try:
            with trio.fail_after(self._timeout):
                return await self._post(name, clip)
        except trio.TooSlowError:
            raise ModelFailure(f"{WHAT} said nothing for {self._timeout:g} s") from None

    async def _post(self, name: str, clip: bytes) -> str:
        tls = await trio.to_thread.run_sync(_prepare)
        import openai

        web = openai.DefaultAsyncHttpxClient(verify=tls, timeout=None)
        async with openai.AsyncOpenAI(
            api_key=self._api_key, base_url=self._base_url, max_retries=0, timeout=None, http_client=web
        ) as client:
            try:
                answer = await client.audio.transcriptions.create(model=self._model, file=(name, clip))
                return _text_of(answer)
            except openai.OpenAIError as error:
                raise failure_of(error, self._model, self._api_key, what=WHAT) from error
            except ValueError as error:  # no JSON, which the library does not look after
                raise ModelFailure(f"{WHAT} gave an answer that is none") from error


def _text_of(answer: object) -> str:
    """Raises ValueError where the library has let something else through."""
    text = getattr(answer, "text", None)
    if not isinstance(text, str):
        raise ValueError("no text")  # noqa: TRY004  # it is what came, not what was passed
    return text


@cache
def _prepare() -> ssl.SSLContext:
    """Import the library and load the TLS settings: half a second the first time, so this is run in a thread."""
    try:
        import httpx2
        import openai.resources.audio  # noqa: F401  # loaded here, lest the first answer load it on the event loop
    except ImportError as error:
        raise ModelFailure("the `openai` package is not installed") from error
    return httpx2.create_ssl_context()


def _suffix(clip: bytes) -> str:
    """Raises TranscriptionFailure."""
    container = container_of(clip)
    if container not in _SUFFIXES:
        what = "in no format known here" if container is None else container.value
        raise TranscriptionFailure(f"the audio is {what}; send WAV, MP3, Ogg, WebM, MP4 or FLAC")
    return _SUFFIXES[container]


def _joined(clips: Sequence[bytes]) -> Sequence[bytes]:
    if len(clips) < 2 or any(container_of(clip) is not Container.WAV for clip in clips):
        return clips
    sounds = [read_wav(clip) for clip in clips]
    first = sounds[0]
    kind = (first.rate, first.channels, first.width)
    if any((sound.rate, sound.channels, sound.width) != kind for sound in sounds):
        return clips
    return (write_wav(Pcm(*kind, b"".join(sound.frames for sound in sounds))),)
