"""Language models without a language model: the embedded partner that needs no key, and a scripted one for tests."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager

import trio

from adapters.gateways.improvisation import improvise
from adapters.gateways.improvisation import welcome as welcome
from core.ports import ModelFailure, Prompt

_PIECE = re.compile(r"\s*\S+")
_OFFLINE_NAME = "offline-partner"


class OfflinePartner:
    """`core.ports.LanguageModel`: improvises from written lines, word by word, `pause` seconds before each word."""

    def __init__(self, *, pause: float = 0.03) -> None:
        self._pause = pause

    @property
    def name(self) -> str:
        return _OFFLINE_NAME

    def draft(self, prompt: Prompt) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        steps: list[Step] = []
        for piece in _PIECE.findall(improvise(prompt)):
            steps += (self._pause, piece)
        return _played(steps)


Step = str | float | ModelFailure
"""What a scripted answer is made of: a piece of text, seconds to wait, or the failure it ends with."""


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

    def draft(self, prompt: Prompt) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        self.prompts.append(prompt)
        return _played(self._answers[min(len(self.prompts), len(self._answers)) - 1])


@asynccontextmanager
async def _played(steps: Iterable[Step]) -> AsyncIterator[AsyncIterator[str]]:
    async with aclosing(_play(steps)) as pieces:
        yield pieces


async def _play(steps: Iterable[Step]) -> AsyncGenerator[str, None]:
    for step in steps:
        match step:
            case str():
                yield step
            case ModelFailure():
                raise step
            case _:
                await trio.sleep(step)
