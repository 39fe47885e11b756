"""The language model of an OpenAI-compatible API, over the `openai` package, which is imported when first asked.

Every wait is bounded here, by Trio: the library's own timeouts and retries are off. Each answer has its own client,
so that a cancelled one can leave nothing in a shared pool; the TLS settings, dear to load, are shared.
"""

from __future__ import annotations

import random
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache

import trio

from adapters.gateways.briefing import messages, tools
from adapters.gateways.chat_stream import ChatReader, CutOff
from adapters.gateways.model_failures import PassingFailure, failure_of
from adapters.gateways.retries import Retries
from core.ports import ModelFailure, Piece, Prompt

DEFAULT_BASE_URL = "https://api.openai.com/v1"
DEFAULT_MODEL = "gpt-4o-mini"


class OpenAIModel:
    """`core.ports.LanguageModel` over streamed chat completions.

    Times are in seconds: `first_piece_timeout` from the request to the first piece of text, `piece_timeout` from one
    piece to the next; the whole answer's time is the caller's to bound. A passing failure before the first piece is
    tried again, `attempts` times in all, after what the server asked for in Retry-After, or else `backoff` doubled
    from try to try; a server that asks for more than `longest_wait` is not waited for. `jitter` gives 0 to 1.
    """

    def __init__(
        self,
        api_key: str,
        base_url: str = DEFAULT_BASE_URL,
        model: str = DEFAULT_MODEL,
        *,
        first_piece_timeout: float = 20.0,
        piece_timeout: float = 10.0,
        attempts: int = 3,
        backoff: float = 0.5,
        longest_wait: float = 8.0,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._api_key, self._base_url, self._model = api_key, base_url, model
        self._first_piece_timeout, self._piece_timeout = first_piece_timeout, piece_timeout
        self._retries = Retries(attempts, backoff, longest_wait, jitter)

    @property
    def name(self) -> str:
        return f"openai/{self._model}"

    @asynccontextmanager
    async def draft(self, prompt: Prompt) -> AsyncIterator[AsyncIterator[Piece]]:
        """See the port. Entering waits for the first piece; every failure is a ModelFailure."""
        tls = await trio.to_thread.run_sync(_prepare)
        async with AsyncExitStack() as stack:
            yield await self._begin(stack, tls, prompt)

    async def _begin(self, stack: AsyncExitStack, tls: ssl.SSLContext, prompt: Prompt) -> AsyncIterator[Piece]:
        """An answer whose first piece is there. What it holds open is left on the stack."""
        tried = 0
        while True:
            try:
                async with AsyncExitStack() as attempt:
                    answer = await self._ask(attempt, tls, prompt)
                    stack.push_async_exit(attempt.pop_all())
                    return answer
            except PassingFailure as failure:
                tried += 1
                await self._wait_before_retry(tried, failure)

    async def _wait_before_retry(self, tried: int, failure: PassingFailure) -> None:
        """Raises the failure instead when it is not worth another try."""
        pause = self._retries.pause(tried, failure.retry_after)
        if pause is None:
            raise failure
        await trio.sleep(pause)

    async def _ask(self, stack: AsyncExitStack, tls: ssl.SSLContext, prompt: Prompt) -> AsyncIterator[Piece]:
        try:
            with trio.fail_after(self._first_piece_timeout):
                return await self._first_of(stack, tls, prompt)
        except trio.TooSlowError:
            reason = f"the language model said nothing for {self._first_piece_timeout:g} s"
            raise ModelFailure(reason) from None

    async def _first_of(self, stack: AsyncExitStack, tls: ssl.SSLContext, prompt: Prompt) -> AsyncIterator[Piece]:
        import openai

        client = await stack.enter_async_context(
            openai.AsyncOpenAI(
                api_key=self._api_key,
                base_url=self._base_url,
                max_retries=0,
                timeout=None,
                http_client=openai.DefaultAsyncHttpxClient(verify=tls, timeout=None),
            )
        )
        try:
            response = await stack.enter_async_context(
                client.chat.completions.with_streaming_response.create(
                    model=self._model, messages=messages(prompt), stream=True, tools=tools(prompt) or openai.omit
                )
            )
        except openai.OpenAIError as error:
            raise failure_of(error, self._model, self._api_key) from error
        answer = Answer(response.iter_bytes(), self._piece_timeout)
        stack.push_async_callback(answer.unwind)
        await answer.begin()
        return answer


@cache
def _prepare() -> ssl.SSLContext:
    """Import the library and load the TLS settings: half a second the first time, so this is run in a thread."""
    try:
        import httpx2
        import openai.resources.chat  # noqa: F401  # loaded here, lest the first answer load it on the event loop
    except ImportError as error:
        raise ModelFailure("the `openai` package is not installed") from error
    return httpx2.create_ssl_context()


class Answer:
    """The pieces of one answer, as an iterator. Raises ModelFailure."""

    def __init__(self, received: AsyncIterator[bytes], piece_timeout: float) -> None:
        self._received = received
        self._piece_timeout = piece_timeout
        self._reader = ChatReader()
        self._pieces: deque[Piece] = deque()

    def __aiter__(self) -> AsyncIterator[Piece]:
        return self

    async def __anext__(self) -> Piece:
        if not self._pieces:
            try:
                with trio.fail_after(self._piece_timeout):
                    await self._read()
            except trio.TooSlowError:
                raise ModelFailure(f"the language model stopped for {self._piece_timeout:g} s mid-answer") from None
        if not self._pieces:
            raise StopAsyncIteration
        return self._pieces.popleft()

    async def begin(self) -> None:
        """Wait for the first piece, or the end of an empty answer. Raises PassingFailure for a lost connection."""
        try:
            await self._read()
        except CutOff as failure:
            raise PassingFailure(failure.reason) from failure

    async def unwind(self) -> None:
        """Run the library's nested generators to their end, without waiting for anything more from the network.

        Closing the outermost alone would leave the inner ones, suspended, to the garbage collector, and Trio rightly
        warns of that. Cancelled at the next wait, each of them cleans up after itself.
        """
        import httpx2

        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                async for _ in self._received:
                    pass
            except (httpx2.RequestError, httpx2.StreamError):
                pass  # the answer is over, one way or another

    async def _read(self) -> None:
        """Receive until there is a piece, or the answer ends."""
        import httpx2

        while not self._pieces and not self._reader.is_done:
            try:
                received = await anext(self._received, None)
            except httpx2.RequestError as error:
                if not self._reader.has_ended:
                    raise CutOff(f"the language model's answer was cut off: {error}") from error
                received = None
            self._pieces += self._reader.end() if received is None else self._reader.feed(received)
