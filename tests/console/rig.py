"""A real browser in front of a real server: pages in which nothing goes wrong unnoticed, and the clients they show."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from threading import Event, Thread
from typing import Any, TypeVar

import httpx
import pytest
import trio
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    ViewportSize,
    WebError,
    expect,
    sync_playwright,
)

from adapters import cli
from adapters.demo.device import Device
from adapters.demo.ear import listening
from tests.adapters.server.process import ServerProcess

BROWSERS = "chromium", "chromium-browser", "google-chrome"
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--enable-precise-memory-info",
)  # fmt: skip
PATIENCE = 15.0
"""Seconds; a busy machine takes some."""
WIDE, NARROW = ViewportSize(width=1280, height=800), ViewportSize(width=360, height=740)

expect.set_options(timeout=PATIENCE * 1000)

REPORTING = """addEventListener("securitypolicyviolation", (violation) =>
  console.error("content security policy:", violation.violatedDirective, violation.blockedURI, violation.sample));"""

Answer = TypeVar("Answer")


@contextmanager
def browsing() -> Iterator[Browser]:
    """The machine's own browser; skips the test where there is none."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"there is no {BROWSERS[0]} on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


class Window:
    """A tab of a fresh profile, looking at one server. `faults` is what went wrong that nobody had announced."""

    def __init__(self, browser: Browser, url: str, **looks: Any) -> None:
        self.url = url
        self._announced, self._noted = list[str](), list[str]()
        looks = {"viewport": WIDE, "timezone_id": "UTC", "locale": "en-GB", "reduced_motion": "reduce"} | looks
        self.context: BrowserContext = browser.new_context(base_url=url, **looks)
        self.context.set_default_timeout(PATIENCE * 1000)
        self.context.add_init_script(REPORTING)
        self.context.on("console", self._hear)
        self.context.on("weberror", self._catch)
        self.context.on("requestfailed", self._miss)
        self.context.on("dialog", self._dismiss)
        self.page: Page = self.context.new_page()

    def open(self, route: str = "") -> Page:
        """The console at a route, such as `#/audit`; anew, as whoever follows a link from elsewhere has it."""
        self.page.goto("about:blank")
        self.page.goto(f"/console/{route}")
        return self.page

    def announce(self, *patterns: str) -> None:
        """What goes wrong in these words, now or later, is meant to."""
        self._announced.extend(patterns)

    def until(self, is_so: Callable[[], object], what: str = "") -> None:
        """Let the browser go on until it is so. Raises AssertionError when it does not become so."""
        began = time.monotonic()
        while not is_so():
            assert time.monotonic() - began < PATIENCE, f"not within {PATIENCE} s: {what or is_so}"
            self.page.wait_for_timeout(20)

    def close(self) -> None:
        """Once all that goes wrong by now is noted."""
        if not self.page.is_closed():
            self.page.wait_for_function("() => new Promise((done) => setTimeout(done, 0, true))")
        self.context.close()

    @property
    def faults(self) -> list[str]:
        return [note for note in self._noted if not any(re.search(pattern, note) for pattern in self._announced)]

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning", "assert"}:
            self._noted.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    def _catch(self, error: WebError) -> None:
        self._noted.append(f"uncaught: {error.error}")

    def _miss(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page's own choice, as it goes elsewhere
            self._noted.append(f"failed: {request.method} {request.url} {request.failure}")

    def _dismiss(self, dialog: Dialog) -> None:
        self._noted.append(f"dialog: {dialog.message}")
        dialog.dismiss()


class Traffic:
    """Clients of servers, on an event loop in a thread of their own: they go on while a test looks at a page."""

    def __init__(self) -> None:
        self._there = Event()
        self._token: trio.lowlevel.TrioToken
        self._nursery: trio.Nursery
        self._over: trio.Event

    @contextmanager
    def running(self) -> Iterator[Traffic]:
        thread = Thread(target=trio.run, args=(self._run,))
        thread.start()
        self._there.wait()
        try:
            yield self
        finally:
            trio.from_thread.run_sync(self._over.set, trio_token=self._token)
            thread.join()

    async def _run(self) -> None:
        self._token, self._over = trio.lowlevel.current_trio_token(), trio.Event()
        async with trio.open_nursery() as self._nursery:
            self._there.set()
            await self._over.wait()
            self._nursery.cancel_scope.cancel()

    def do(self, act: Callable[..., Awaitable[Answer]], *arguments: Any) -> Answer:
        """What comes of it. Raises TooSlowError after the patience, and whatever it raises."""

        async def patiently() -> Answer:
            with trio.fail_after(PATIENCE):
                return await act(*arguments)

        return trio.from_thread.run(patiently, trio_token=self._token)

    def begin(self, act: Callable[..., Awaitable[Any]], *arguments: Any) -> trio.CancelScope:
        """It goes on beside the test until it ends, or is cancelled by `stop`."""
        scope = trio.CancelScope()

        async def until_stopped() -> None:
            with scope:
                await act(*arguments)

        trio.from_thread.run_sync(self._nursery.start_soon, until_stopped, trio_token=self._token)
        return scope

    def stop(self, scope: trio.CancelScope) -> None:
        trio.from_thread.run_sync(scope.cancel, trio_token=self._token)

    def joined(self, port: int, conversation: str) -> Guest:
        """A device in a conversation, greeted."""
        device = Device(port, conversation)
        guest = Guest(self, device, self.begin(device.run))
        guest.until("state_update")
        return guest

    @contextmanager
    def talking(self, port: int, path: str) -> Iterator[None]:
        """A socket of any dialect, open for a while."""
        scope = self.begin(self._talk, f"ws://127.0.0.1:{port}{path}")
        yield
        self.stop(scope)

    @staticmethod
    async def _talk(url: str) -> None:
        async with listening(url):
            await trio.sleep_forever()


class Guest:
    """A client of the dialect `conversations`, as a test says what it does."""

    def __init__(self, traffic: Traffic, device: Device, scope: trio.CancelScope) -> None:
        self._traffic, self._device, self._scope = traffic, device, scope

    def say(self, type: str, **payload: Any) -> None:
        async def say() -> None:
            await self._device.say(type, **payload)

        self._traffic.do(say)

    def until(self, type: str, after: int = 0, times: int = 1, **payload: Any) -> dict[str, Any]:
        """The frame of this type and payload, also one that came already."""

        async def until() -> dict[str, Any]:
            return await self._device.until(type, after, times, **payload)

        return self._traffic.do(until)

    def leave(self) -> None:
        self._traffic.stop(self._scope)


class Running(ServerProcess):
    """`callboard serve` in a process of its own, asked by a test that does not await."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        """SIGKILL: no farewell."""
        os.kill(self.pid, signal.SIGKILL)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return httpx.request(method, self.url + path, json=body, headers=headers, timeout=PATIENCE)

    def told(self, path: str, **query: Any) -> Any:
        """The JSON of an answer that must be 200."""
        answer = httpx.get(self.url + path, params=query, timeout=PATIENCE)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def conversation(self, **body: Any) -> str:
        """The id of a new one."""
        answer = self.ask("POST", "/api/v2/conversations", body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def message(self, conversation: str, content: str) -> None:
        """Something said to it, and answered."""
        answer = self.ask("POST", f"/api/v2/conversations/{conversation}/messages", {"content": content})
        assert answer.status_code == 200, answer.text


def callboard(*arguments: str) -> str:
    """What the command line answers; in this process, as starting another costs more than most commands."""
    said = io.StringIO()
    with redirect_stdout(said):
        try:
            code = cli.app(arguments, standalone_mode=False, prog_name="callboard")
        except SystemExit as ended:
            code = ended.code
    assert not code, said.getvalue()
    return said.getvalue()
