"""The servers under test: ours and the rivals, each a process of its own on the first core, with what it uses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.benchmarks.cores import SERVER, pinned
from tests.benchmarks.crowd import Tongue
from tests.benchmarks.wire import HOST

ROOT = Path(__file__).parents[2]
STARTED_WITHIN, STOPPED_WITHIN = 30.0, 10.0
WS_PACKAGE = "ws@8"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "callboard-bench"
"""Where Node's `ws` is installed, once."""

SPEECH = '{"type":"speech_event","payload":{"event_type":"bench","data":{"text":"@"}}}'
RATES = ("RATE_LIMIT", "RATE_BURST", "PRINCIPAL_RATE_LIMIT", "PRINCIPAL_RATE_BURST")
UNLIMITED = {f"CALLBOARD_{name}": "1000000" for name in RATES}
OURS = {"OPENAI_API_KEY": "", "CALLBOARD_AUTH": "none", "CALLBOARD_LOG_FORMAT": "json", **UNLIMITED}


class NotRunning(Exception):
    """A server that cannot be run here, with the reason."""


class ServerProcess:
    """One running server. Its output goes to `output`, to be read when it fails."""

    def __init__(self, command: Sequence[str], port: int, env: Mapping[str, str], output: Path) -> None:
        self.port, self.output = port, output
        with output.open("wb") as file, pinned(SERVER):
            self._process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **env}, stdout=file, stderr=subprocess.STDOUT
            )
        self._wait_until_it_listens()

    def _wait_until_it_listens(self) -> None:
        end = time.monotonic() + STARTED_WITHIN
        while not _listens(self.port):
            try:
                self._process.wait(timeout=0.05)
            except subprocess.TimeoutExpired:
                if time.monotonic() < end:
                    continue
                self._process.kill()
            last = self.output.read_text(errors="replace").strip().splitlines()[-1:]
            raise NotRunning(last[0] if last else "it ended without a word")

    @property
    def resident(self) -> int:
        """Bytes of memory."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) * 1024

    @property
    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        connection = HTTPConnection(HOST, self.port, timeout=30)
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        answer = connection.getresponse().read()
        connection.close()
        return json.loads(answer)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(command: Sequence[str], folder: Path, env: Mapping[str, str] = {}) -> Iterator[ServerProcess]:
    """The server for the time of the block; `PORT` in its command is a free one. Raises NotRunning."""
    port = _free_port()
    words = [word.replace("PORT", str(port)) for word in command]
    server = ServerProcess(words, port, env, folder / f"{uuid4().hex}.out")
    try:
        yield server
    finally:
        server.stop()


# --- ours ---


@contextmanager
def callboard(folder: Path, **settings: str) -> Iterator[ServerProcess]:
    """`callboard serve` on a fresh SQLite log, with these settings (`WRITE_DEADLINE="2"`), free of rate limits."""
    log = f"sqlite:///{folder / uuid4().hex}.db"
    command = (sys.executable, "-m", "adapters.command", "serve", "--bind", f"{HOST}:PORT", "--store", log)
    env = OURS | {f"CALLBOARD_{name}": value for name, value in settings.items()}
    with running(command, folder, env) as server:
        yield server


def conversation(server: ServerProcess) -> Tongue:
    """A new conversation, and how to talk in it."""
    opened = server.post("/api/v2/conversations", {})
    id = opened.get("conversation_id") or opened["id"]
    return Tongue(f"/api/ws/conversations/{id}", SPEECH, greetings=1)


# --- the rivals ---

Running = AbstractContextManager[ServerProcess]


def fastapi(implementation: str, folder: Path) -> Running:
    """The classic ConnectionManager on uvicorn, with uvloop, httptools and this WebSocket implementation."""
    return running(_rival("fastapi_server", "fastapi", "--ws", implementation), folder)


def socketio(folder: Path) -> Running:
    return running(_rival("socketio_server", "socketio"), folder)


def node(folder: Path) -> Running:
    home = _ws_home()
    command = ("node", str(Path(__file__).parent / "rivals" / "ws_server.mjs"), "PORT")
    return running(command, folder, {"WS_HOME": str(home)})


FASTAPI = Tongue("/ws", '{"type":"chat","text":"@"}')
SOCKETIO = Tongue("/socket.io/?EIO=4&transport=websocket", '42["frame",{"text":"@"}]', hello="40", greetings=2)
NODE = Tongue("/", '{"type":"chat","text":"@"}')
RIVALS: dict[str, tuple[Callable[[Path], Running], Tongue]] = {
    "FastAPI (websockets-sansio)": (partial(fastapi, "websockets-sansio"), FASTAPI),
    "FastAPI (websockets)": (partial(fastapi, "websockets"), FASTAPI),
    "python-socketio": (socketio, SOCKETIO),
    "Node's ws": (node, NODE),
}


def _rival(module: str, package: str, *arguments: str) -> tuple[str, ...]:
    if find_spec(package) is None or find_spec("uvicorn") is None:
        raise NotRunning(f"{package} or uvicorn is not installed; `make bench` installs the extra `bench`")
    return (sys.executable, "-m", f"tests.benchmarks.rivals.{module}", "PORT", *arguments)


def _ws_home() -> Path:
    """The folder whose node_modules has `ws`; installed there on the first call. Raises NotRunning."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise NotRunning("node or npm is not installed")
    if not (CACHE / "node_modules" / "ws").exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        install = ("npm", "install", "--prefix", str(CACHE), "--no-audit", "--no-fund", "--silent", WS_PACKAGE)
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotRunning(f"npm cannot install ws: {(done.stderr or done.stdout).strip()[-200:]}")
    return CACHE
