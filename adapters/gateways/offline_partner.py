"""Language models without a language model: the embedded partner that needs no key, and a scripted one for tests."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager

import trio

from adapters.gateways.improvisation import improvise
from adapters.gateways.improvisation import welcome as welcome
from adapters.gateways.weather_talk import weather_answer, weather_call
from core.ports import ModelFailure, Piece, Prompt, ToolCall

_PIECE = re.compile(r"\s*\S+")
_OFFLINE_NAME = "offline-partner"


class OfflinePartner:
    """`core.ports.LanguageModel`: improvises from written lines, word by word, `pause` seconds before each word.

    Of tools it knows one kind: asked for the weather somewhere, it calls the tool that has "weather" in its name.
    """

    def __init__(self, *, pause: float = 0.03) -> None:
        self._pause = pause

    @property
    def name(self) -> str:
        return _OFFLINE_NAME

    def draft(self, prompt: Prompt) -> AbstractAsyncContextManager[AsyncIterator[Piece]]:
        steps: list[Step] = []
        if (call := weather_call(prompt)) is not None:
            return _played([self._pause, call])
        for piece in _PIECE.findall(weather_answer(prompt) or improvise(prompt)):
            steps += (self._pause, piece)
        return _played(steps)


Step = Piece | float | ModelFailure
"""What a scripted answer is made of: text or a tool call, seconds to wait, or the failure it ends with."""


class ScriptedModel:
    """`core.ports.LanguageModel`, for tests: each draft plays the next of the `answers`, the last one again and again.

    `math.inf` seconds wait for ever. `prompts` are the prompts it was given, in order.
    """

    def __init__(self, *answers: Sequence[Step], name: str = "scripted") -> None:
        if not answers:
            raise ValueError("a scripted model needs at least one answer")
        self.prompts: list[Prompt] = []
        self._answers = answers
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    def draft(self, prompt: Prompt) -> AbstractAsyncContextManager[AsyncIterator[Piece]]:
        self.prompts.append(prompt)
        return _played(self._answers[min(len(self.prompts), len(self._answers)) - 1])


@asynccontextmanager
async def _played(steps: Iterable[Step]) -> AsyncIterator[AsyncIterator[Piece]]:
    async with aclosing(_play(steps)) as pieces:
        yield pieces


async def _play(steps: Iterable[Step]) -> AsyncGenerator[Piece, None]:
    for step in steps:
        match step:
            case str() | ToolCall():
                yield step
            case ModelFailure():
                raise step
            case _:
                await trio.sleep(step)
