"""Windows of a browser, servers and clients, for all tests of the console."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.adapters.server.process import PLENTY
from tests.console.rig import Running, Traffic, Window, browsing

GOLDEN = Path(__file__).parents[1] / "golden_logs" / "0.1.0.db.gz"

Look = Callable[..., Window]
Serve = Callable[..., Running]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing() as browser:
        yield browser


@pytest.fixture(scope="module")
def traffic() -> Iterator[Traffic]:
    with Traffic().running() as traffic:
        yield traffic


@pytest.fixture
def look(browser: Browser) -> Iterator[Look]:
    """Opens windows on servers; whatever goes wrong in one unannounced fails the test."""
    windows = list[Window]()

    def look(server: Running | str, **looks: object) -> Window:
        url = server if isinstance(server, str) else server.url
        windows.append(Window(browser, url, **looks))
        return windows[-1]

    yield look
    for window in windows:
        window.close()
    assert [fault for window in windows for fault in window.faults] == []


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Starts servers that end with the module; their logs are in memory, or in the file `log`."""
    servers = list[Running]()

    def serve(log: Path | None = None, **settings: str) -> Running:
        store = {} if log is None else {"CALLBOARD_STORE": f"sqlite:///{log}"}
        server = Running(tmp_path_factory.mktemp("server"), **PLENTY | store | settings)
        servers.append(server)
        server.start()
        return server

    yield serve
    for server in servers:
        server.stop()
    assert [fault for server in servers for fault in server.faults] == []


@pytest.fixture(scope="module")
def server(serve: Serve) -> Running:
    """One whose log is in memory."""
    return serve()


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log in which all kinds of streams have a past: what the demo left."""
    log = tmp_path_factory.mktemp("past") / "callboard.db"
    log.write_bytes(gzip.decompress(GOLDEN.read_bytes()))
    return log


@pytest.fixture(scope="module")
def archive(serve: Serve, past: Path) -> Running:
    """A server on that log."""
    return serve(past)
