"""Real servers with the settings a test wants, each started once a module, and again where a test has ended it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.adapters.server.process import PLENTY, ServerProcess

Running = Callable[..., ServerProcess]

MEBI = 2**20
WRITE_DEADLINE = HANDSHAKE_DEADLINE = 1.0
MAX_FRAME_BYTES = MEBI
QUICK = {
    **PLENTY,
    "CALLBOARD_WRITE_DEADLINE": str(WRITE_DEADLINE),
    "CALLBOARD_HANDSHAKE_DEADLINE": str(HANDSHAKE_DEADLINE),
    "CALLBOARD_MAX_FRAME_BYTES": str(MAX_FRAME_BYTES),
}


class Servers:
    """Those of one module, by their settings."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.started: dict[frozenset[tuple[str, str]], ServerProcess] = {}

    def running(self, **settings: str) -> ServerProcess:
        """A server with short deadlines and these settings."""
        key = frozenset(settings.items())
        if key not in self.started:
            self.started[key] = ServerProcess(self._folder / str(len(self.started)), **{**QUICK, **settings})
        server = self.started[key]
        if not server.is_alive:
            server.start()
        return server


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    servers = Servers(tmp_path_factory.mktemp("servers"))
    yield servers
    for server in servers.started.values():
        server.stop()


@pytest.fixture
def running(servers: Servers) -> Iterator[Running]:
    """Gives the server with some settings. No test may end it, or make it note an exception."""
    before = {server: len(server.faults) for server in servers.started.values()}
    yield servers.running
    for server in servers.started.values():
        assert server.faults[before.get(server, 0) :] == []
        assert server.is_alive, server.stderr[-5000:]


@pytest.fixture
def server(running: Running) -> ServerProcess:
    return running()
