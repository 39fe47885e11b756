"""The demo's server: the real command, in a process of its own that can be killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import trio
from msgspec import json

from adapters.demo import DemoFailed

STARTED_WITHIN = 15.0
"""Seconds a server may take to listen."""
_LISTENS = re.compile(rb"listens on http://([^:]+):(\d+)")


class Server:
    """One `callboard serve` on a log, with `settings` of its own beside the demo's, by their variables.

    `port` is the same through restarts, once the first one has chosen it.
    """

    def __init__(self, log: Path, settings: Mapping[str, str] = {}) -> None:
        self._log, self.port, self._settings = log, 0, settings
        self._process: trio.Process | None = None

    @property
    def _running(self) -> trio.Process:
        if self._process is None:
            raise DemoFailed("the server was never started")
        return self._process

    @property
    def pid(self) -> int:
        return self._running.pid

    @property
    def store(self) -> str:
        return f"sqlite:///{self._log}"

    async def start(self) -> None:
        """Start, and wait until it listens. Raises DemoFailed when it does not."""
        flags = "--bind", f"127.0.0.1:{self.port}", "--store", self.store
        command = [sys.executable, "-m", "adapters.cli", "serve", *flags]
        errors = self._log.with_suffix(".stderr").open("ab")
        self._process = await trio.lowlevel.open_process(
            command, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, **_OFFLINE, **self._settings}
        )
        errors.close()
        with trio.move_on_after(STARTED_WITHIN):
            self.port = await self._bound_port()
            return
        raise DemoFailed(f"the server did not start within {STARTED_WITHIN:.0f} s")

    async def _bound_port(self) -> int:
        said = b""
        while (stdout := self._running.stdout) and (chunk := await stdout.receive_some()):
            said += chunk
            if found := _LISTENS.search(said):
                return int(found[2])
        last_words = self._log.with_suffix(".stderr").read_text().strip().splitlines()[-1:]
        raise DemoFailed(f"the server ended at once: {' '.join(last_words)}")

    async def kill(self) -> None:
        """SIGKILL: no farewell, no last write."""
        self._running.kill()
        await self._running.wait()

    async def stop(self) -> int:
        """SIGTERM, and its exit code. A server that does not end by itself is killed."""
        if self._running.returncode is None:
            self._running.send_signal(signal.SIGTERM)
            with trio.move_on_after(10):
                return await self._running.wait()
            self._running.kill()
        return await self._running.wait()

    async def call(self, method: str, path: str, body: Mapping[str, Any] | None = None, key: str | None = None) -> Any:
        """One REST call; the JSON it answers with. Raises OSError when there is no server (any more)."""
        headers = {"content-type": "application/json"} | ({"idempotency-key": key} if key else {})
        return json.decode(await self._request(method, path, json.encode(body) if body is not None else None, headers))

    async def fetch(self, path: str) -> bytes:
        """What is to be had there, as it is. Raises OSError."""
        return await self._request("GET", path, None, {})

    async def _request(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
        def request() -> bytes:
            connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
            try:
                connection.request(method, path, body, headers)
                return connection.getresponse().read()
            finally:
                connection.close()

        return await trio.to_thread.run_sync(request, abandon_on_cancel=True)


RETELL_PATH = "ws-default"
"""Where the demo's calls are."""
_OFFLINE = {
    "OPENAI_API_KEY": "", "CALLBOARD_FORECAST": "scripted", "CALLBOARD_CARRIER": "embedded", "SHIPVOX_API_URL": "",
    "CALLBOARD_TRANSCRIBER": "pocketsphinx", "CALLBOARD_LOG_FORMAT": "console", "CALLBOARD_BIND": "",
    "CALLBOARD_AUTH": "none", "CALLBOARD_PUBLIC_URL": "", "OBFUSCATED_WS_PATH": RETELL_PATH,
}  # fmt: skip
"""The demo needs no key, and asks nobody."""
