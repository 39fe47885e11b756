"""`callboard serve` in a process of its own, with settings of the test's choice, watched from outside."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import trio

from tests.adapters.server.raw import PATIENCE, Wire, connected, heartbeat

ROOT = Path(__file__).parents[3]
_LISTENS = re.compile(rb"listens on https?://[^:]+:(\d+)")

PLENTY = {
    "CALLBOARD_RATE_LIMIT": "1000000",
    "CALLBOARD_RATE_BURST": "1000000",
    "CALLBOARD_PRINCIPAL_RATE_LIMIT": "1000000",
    "CALLBOARD_PRINCIPAL_RATE_BURST": "1000000",
    "CALLBOARD_MAILBOX": "100000",
}
"""Settings for tests that send much and are not about rates."""


class ServerProcess:
    """One server. `port` stays the same when it is started again."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self._folder, self._settings = folder, settings
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def pid(self) -> int:
        return self._running.pid

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def stderr(self) -> str:
        """All it has written to stderr, over all its starts."""
        return (self._folder / "stderr").read_text(errors="replace")

    @property
    def faults(self) -> list[str]:
        """The lines of it that tell of an exception: what comes from outside is no reason for one."""
        return [line for line in self.stderr.splitlines() if "Traceback" in line or '"exception":' in line]

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the server was never started"
        return self._process

    def start(self) -> None:
        """Start, and block until it listens."""
        self._forget()
        command = [sys.executable, "-m", "adapters.cli", "serve", "--bind", f"127.0.0.1:{self.port}"]
        env = {name: value for name, value in os.environ.items() if not name.startswith(("CALLBOARD_", "OPENAI_"))}
        standard = {"CALLBOARD_STORE": "memory:", "CALLBOARD_LOG_FORMAT": "json"}
        with (self._folder / "stderr").open("ab") as errors:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env={**env, **standard, **self._settings}, stdout=subprocess.PIPE, stderr=errors
            )
        stdout = self._process.stdout
        found = _LISTENS.search(stdout.readline()) if stdout else None
        assert found is not None, self.stderr
        self.port = int(found[1])

    def terminate(self) -> None:
        self._running.send_signal(signal.SIGTERM)

    def pause(self) -> None:
        """Stop it as it stands: it does nothing more until `resume`, and its sockets stay."""
        self._running.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._running.send_signal(signal.SIGCONT)

    async def ended(self, within: float) -> int:
        """Its exit code. Raises AssertionError when it does not end in time."""
        await until(lambda: not self.is_alive, within, "the server has ended")
        return int(self._running.returncode)

    def stop(self) -> None:
        """End it, one way or the other."""
        if self.is_alive:
            self.terminate()
            try:
                self._running.wait(10)
            except subprocess.TimeoutExpired:
                self._running.kill()
        self._forget()

    def _forget(self) -> None:
        if self._process is not None:
            self._process.wait()
            if self._process.stdout:
                self._process.stdout.close()

    # --- what can be seen from outside ---

    @property
    def sockets(self) -> int:
        """Sockets it has open, listeners and all."""
        return sum(_link(file).startswith("socket:") for file in Path(f"/proc/{self.pid}/fd").iterdir())

    def forget_peak(self) -> int:
        """Begin to measure the peak anew; returns the memory held now, in bytes."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")
        return self._memory("VmRSS")

    @property
    def peak(self) -> int:
        """Bytes of memory held at most since `forget_peak`."""
        return self._memory("VmHWM")

    def _memory(self, name: str) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.findall(rf"{name}:\s+(\d+) kB", status)[0]) * 1024

    # --- asking it ---

    async def call(self, method: str, path: str, body: Any = None, *, within: float = PATIENCE) -> Any:
        """One REST call that must be answered with 200; the JSON."""
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=within) as http:
            answer = await http.request(method, path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def opened(self) -> str:
        """The id of a new conversation."""
        return str((await self.call("POST", "/api/v2/conversations", {}))["id"])

    async def clients(self, id: str) -> int:
        """How many sockets the server believes to be in the conversation."""
        return int((await self.call("GET", f"/api/v2/conversations/{id}"))["active_connections"])

    async def down_to(self, count: int, id: str, within: float = PATIENCE) -> None:
        """Wait until no more sockets than that are in the conversation. Raises TooSlowError."""
        with trio.fail_after(within):
            while await self.clients(id) > count:  # noqa: ASYNC110  # another process sets no event of ours
                await trio.sleep(0.01)

    def connect(self, **options: Any) -> Any:
        """A raw connection."""
        return connected(self.port, **options)

    @asynccontextmanager
    async def talk(self, id: str, query: str = "", **options: Any) -> AsyncIterator[Wire]:
        """A raw WebSocket of a conversation, greeted."""
        async with connected(self.port, **options) as wire:
            answer = await wire.shake(f"/api/ws/conversations/{id}{query}")
            assert answer.status == 101, answer
            await wire.told("state_update")
            yield wire

    async def answers(self, wire: Wire, number: str) -> float:
        """Assert that it is alive, to this client and over REST; returns the seconds the client waited."""
        began = trio.current_time()
        await wire.send(heartbeat(number))
        while (await wire.told("heartbeat_response")).get("command_id") != number:
            pass
        waited = trio.current_time() - began
        assert (await self.call("GET", "/health"))["status"] == "healthy"
        return waited


def _link(path: Path) -> str:
    """Where it leads; nowhere when it has gone meanwhile."""
    try:
        return str(path.readlink())
    except OSError:
        return ""


async def until(is_so: Callable[[], bool], within: float, what: str = "") -> float:
    """Look until it is so; returns the seconds that took. Raises AssertionError when it takes too long."""
    began = trio.current_time()
    while not is_so():
        assert trio.current_time() - began < within, f"not within {within} s: {what or is_so}"
        await trio.sleep(0.01)
    return trio.current_time() - began
