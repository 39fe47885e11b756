"""`callboard ask`: a question to the assistant of a channel, and what it does about it as it comes."""

from __future__ import annotations

import logging
from typing import Annotated, Any

import structlog
import trio
import typer

from adapters.setting_values import Unusable, parse_socket_url

PATH = "/ws/channels"


class NotAsked(Exception):
    """There is no answer; the message says why, and what to do."""


def ask(
    question: Annotated[str, typer.Argument(help="What to ask", show_default=False)],
    channel: Annotated[
        str, typer.Option(envvar="WEBSOCKET_CHANNEL", help="Where the answer is shown, to all who hear it")
    ] = "weather-update",
    server: Annotated[str, typer.Option(help="The server that runs")] = "http://127.0.0.1:8000",
    thread: Annotated[str | None, typer.Option(help="Go on with the talk of this id", show_default=False)] = None,
    within: Annotated[float, typer.Option(help="Seconds the answer may take", min=0.1)] = 60.0,
    token: Annotated[
        str | None, typer.Option(envvar="CALLBOARD_TOKEN", help="Where the server asks who comes", show_default=False)
    ] = None,
) -> None:
    """Ask the assistant on a channel; prints what it does, and its answer as it grows."""
    from adapters.clients import asking  # only this command needs it
    from adapters.clients.channels import SubscriptionFailed
    from adapters.clients.follower import Closed
    from adapters.clients.wire import CannotConnect

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))  # one line tells it all
    page, uri = Page(), _uri_of(server)
    told: dict[str, Any] = {"thread_id": thread, "patience": within, "hear": page.show, "token": token or None}
    try:
        trio.run(lambda: asking.ask(uri, channel, question, **told))
    except asking.NotAnswered as reason:
        page.finish()
        raise NotAsked(f"no answer: {reason}") from None
    except (SubscriptionFailed, Closed) as reason:
        page.finish()
        raise NotAsked(f"{server} does not let us in ({reason}); write another --channel, or --token") from None
    except CannotConnect as reason:
        raise NotAsked(f"no Callboard answers at {server} ({reason}); start it, or name it with --server") from None


def _uri_of(server: str) -> str:
    """The address of the server's channels; http:// is taken for ws://. Raises NotAsked."""
    try:
        uri = parse_socket_url("ws" + server.removeprefix("http") if server.startswith("http") else server)
    except Unusable:
        raise NotAsked("--server: that is no server; write http://HOST:PORT") from None
    _, _, behind = uri.partition("://")
    return uri.rstrip("/") + PATH if not behind.partition("/")[2] else uri


class Page:
    """Prints updates: a tool's on lines of their own, the answer as it grows."""

    def __init__(self) -> None:
        self._answer, self._is_open = "", False

    def show(self, update: dict[str, Any]) -> None:
        message = str(update.get("message", ""))
        match update.get("type"), update.get("status"):
            case "response", status:
                self._grow(message, is_whole=status == "completed")
            case "tool", "started":
                self._line(f"· {message}")
            case "tool", _:
                self._line(f"  {message}")
            case _:  # an error is told at the end, on stderr
                pass

    def finish(self) -> None:
        """What is said next begins a line."""
        if self._is_open:
            typer.echo()
        self._answer, self._is_open = "", False

    def _grow(self, message: str, *, is_whole: bool) -> None:
        if not message.startswith(self._answer):
            self.finish()
        typer.echo(_shown(message.removeprefix(self._answer)), nl=False)
        self._answer, self._is_open = message, True
        if is_whole:
            self.finish()

    def _line(self, text: str) -> None:
        self.finish()
        typer.echo(_shown(text))


def _shown(text: str) -> str:
    """Without what a terminal would obey."""
    return "".join(character if character.isprintable() or character == "\n" else "�" for character in text)
