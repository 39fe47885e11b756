"""Where actors and their effects run: tasks that keep nothing of whoever happened to start them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Any, Protocol


class Starter(Protocol):
    """The part of a nursery that is used here."""

    def start_soon(self, async_fn: Callable[..., Awaitable[Any]], *args: Any) -> None: ...


class Background:
    """Starts tasks in the context of its own making, whoever asks.

    A task keeps the context it was started in for as long as it lives. That of a request holds its connection, with all
    that a web framework hangs on it; an actor may live on for days after whoever woke it has gone.
    """

    def __init__(self, nursery: Starter) -> None:
        self._nursery, self._context = nursery, copy_context()

    def start_soon(self, async_fn: Callable[..., Awaitable[Any]], *args: Any) -> None:
        self._context.run(self._nursery.start_soon, async_fn, *args)
