"""Which language model answers: the server's, or another one where a fork wants that."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

from core.ports import LanguageModel, ModelFailure, Piece, Prompt

Named = Callable[[str], LanguageModel]
"""The model of a name. Never raises: one that is not to be had fails when it is asked."""


class MissingModel:
    """`core.ports.LanguageModel` in the place of one that is not to be had; `reason` says why."""

    def __init__(self, name: str, reason: str) -> None:
        self._name, self._reason = name, reason

    @property
    def name(self) -> str:
        return self._name

    def draft(self, prompt: Prompt) -> AbstractAsyncContextManager[AsyncIterator[Piece]]:  # noqa: ARG002  # the port's
        raise ModelFailure(self._reason)


def none_other(name: str) -> LanguageModel:
    """Where there is the server's model alone."""
    return MissingModel(name, f"this server has no language model {name[:80]!r}")


def chosen(model: LanguageModel, named: Named, name: str | None) -> LanguageModel:
    """The model of this name; `model` where that is its name, or there is none."""
    return model if name is None or name == model.name else named(name)
