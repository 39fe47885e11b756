"""An app for the conformance suite alone: what comes over a WebSocket goes back over it, through our own link."""

from __future__ import annotations

from quart import websocket
from quart_trio import QuartTrio

from adapters.server.guard import LINK
from adapters.server.link import Link


class Echo:
    """A talker that says what it hears."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def received(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self._link.say(message.encode())
        else:
            self._link.say_bytes(message)

    def left(self) -> None:
        """Nothing is left behind."""


def echo_app() -> QuartTrio:
    """The app; its one path is `/echo`."""
    app = QuartTrio(__name__, static_folder=None)

    @app.websocket("/echo")
    async def echo() -> None:
        link: Link = websocket.scope["state"][LINK]
        link.expect()
        await websocket.accept()
        link.begin(Echo(link))

    return app
