"""What the demo's scenes are told on: the look of their lines, and how a promise that does not hold ends it all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from rich.console import Console
from rich.rule import Rule
from rich.text import Text
from trio_websocket import CloseReason, ConnectionClosed

from adapters.clients.wire import CannotConnect
from adapters.demo import DemoFailed
from adapters.server.groups import sole

SCENE_WITHIN = 10.0
"""Seconds one of the short scenes may take, where it does not say otherwise."""


def expect(holds: bool, promise: str) -> None:
    """Raises DemoFailed."""
    if not holds:
        raise DemoFailed(f"not as promised: {promise}")


class Stage:
    """A console, and how things are said on it."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def scene(self, title: str) -> None:
        self.console.print()
        self.console.print(Rule(Text(title, "bold"), align="left", style="dim"))

    def say(self, text: str) -> None:
        """Something that was checked the moment before."""
        self.console.print(Text("✓ ", "bold green").append(text, "default"))

    def line(self, who: str, does: str, what: str) -> None:
        self.console.print(Text(f"  {who} ", "bold").append(f"{does}  ", "dim").append(what))

    def begin_answer(self, who: str) -> None:
        """What `piece` prints from here on is heard by them."""
        self.console.print(f"  {who}  ", end="", style="dim")

    def piece(self, text: str) -> None:
        self.console.print(text, end="", style="green", soft_wrap=True)

    def cut_off(self) -> None:
        self.console.print(" ✗", style="bold red")

    def end_answer(self) -> None:
        self.console.print()


@asynccontextmanager
async def short_scene(stage: Stage, title: str, within: float = SCENE_WITHIN) -> AsyncIterator[None]:
    """One scene, from its title to its end, which may take `within` seconds.

    Raises DemoFailed when it stands still or a socket is lost in it.
    """
    stage.scene(title)
    try:
        with trio.move_on_after(within) as scope:
            yield
    except* (CannotConnect, ConnectionClosed) as lost:
        raise DemoFailed(f"a socket was lost in the scene {title!r}: {_reason(sole(lost))}") from lost
    if scope.cancelled_caught:
        raise DemoFailed(f"the scene {title!r} did not end within {within:.0f} s")


def _reason(lost: BaseException) -> str:
    match lost:
        case ConnectionClosed(reason=CloseReason() as given):
            return f"the server closed it ({given.code}{', ' + given.reason if given.reason else ''})"
        case _:
            return str(lost)
