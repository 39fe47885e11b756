"""A browser driven over its DevTools protocol: pages that are opened, clicked in and waited for."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

import msgspec
import pytest
import trio
from trio_websocket import WebSocketConnection, open_websocket_url

BROWSERS = "chromium", "chromium-browser", "google-chrome"
# As a container has it: no sandbox for root, little shared memory, no display; nothing is asked of the outside. Peers
# find each other by the machine's addresses, which else hide behind names that take a multicast to resolve.
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-extensions",
    "--disable-features=WebRtcHideLocalIpsWithMdns", "--remote-debugging-port=0",
)  # fmt: skip

UNTIL = """new Promise((done) => {{
  const look = () => {{ if ({condition}) {{ watch.disconnect(); done(true); }} }};
  const watch = new MutationObserver(look);
  watch.observe(document, {{ subtree: true, childList: true, characterData: true, attributes: true }});
  look();
}})"""


class Page:
    """One tab."""

    def __init__(self, wire: WebSocketConnection, session: str, numbers: count[int]) -> None:
        self._wire, self._session, self._numbers = wire, session, numbers

    async def tell(self, script: str) -> Any:
        """What the script comes to, waited for. Raises AssertionError where it throws."""
        answer = await _call(
            self._wire, self._numbers, "Runtime.evaluate", self._session,
            expression=script, awaitPromise=True, returnByValue=True, userGesture=True,
        )  # fmt: skip
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def click(self, id: str) -> None:
        await self.tell(f"document.getElementById('{id}').click()")

    async def until(self, condition: str) -> None:
        """Wait until the condition, a script about the document, holds."""
        await self.tell(UNTIL.format(condition=condition))


class Browser:
    """A running one. Its pages are talked to one after the other."""

    def __init__(self, wire: WebSocketConnection) -> None:
        self._wire, self._numbers = wire, count(1)

    async def open(self, url: str) -> Page:
        target = await _call(self._wire, self._numbers, "Target.createTarget", url="about:blank")
        attached = await _call(
            self._wire, self._numbers, "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        session = attached["sessionId"]
        await _call(self._wire, self._numbers, "Page.enable", session)
        await _call(self._wire, self._numbers, "Page.navigate", session, url=url)
        while msgspec.json.decode(await self._wire.get_message()).get("method") != "Page.loadEventFired":
            pass
        return Page(self._wire, session, self._numbers)


async def _call(
    wire: WebSocketConnection, numbers: count[int], method: str, session: str | None = None, **params: Any
) -> Any:
    number = next(numbers)
    call = {"id": number, "method": method, "params": params} | ({} if session is None else {"sessionId": session})
    await wire.send_message(msgspec.json.encode(call).decode())
    while True:
        answer = msgspec.json.decode(await wire.get_message())
        if answer.get("id") == number:
            assert "error" not in answer, answer["error"]
            return answer["result"]


@asynccontextmanager
async def browsing(profile: Path) -> AsyncIterator[Browser]:
    """A browser of its own; skips the test where there is none."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"there is no {BROWSERS[0]} on this machine")
    command = [path, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    async with trio.open_nursery() as nursery:
        process = await nursery.start(partial(trio.run_process, command, stdout=DEVNULL, stderr=PIPE, check=False))
        async with open_websocket_url(await _address_in(process.stderr)) as wire:
            nursery.start_soon(_drain, process.stderr)
            yield Browser(wire)
        process.terminate()
        nursery.cancel_scope.cancel()


async def _address_in(errors: trio.abc.ReceiveStream) -> str:
    said = b""
    while (found := re.search(rb"DevTools listening on (ws://\S+)\n", said)) is None:
        piece = await errors.receive_some()
        assert piece, said.decode(errors="replace")
        said += piece
    return found[1].decode()


async def _drain(errors: trio.abc.ReceiveStream) -> None:
    async for _ in errors:
        pass
