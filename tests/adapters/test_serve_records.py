"""What `callboard serve` itself writes to its log: how it ends, and what it warns of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from adapters.config import from_environment
from adapters.entrance import warn_of_clear_text
from tests.adapters.server.process import ServerProcess

SECRET = {"CALLBOARD_AUTH": "jwt", "CALLBOARD_JWT_SECRET": "s" * 32}
TLS = {"CALLBOARD_TLS_CERT": "ours.crt", "CALLBOARD_TLS_KEY": "ours.key"}


def ended(folder: Path, log_format: str) -> list[str]:
    """The lines of a server that was started and asked to stop."""
    server = ServerProcess(folder, CALLBOARD_LOG_FORMAT=log_format)
    try:
        server.start()
    finally:
        server.stop()
    return server.stderr.splitlines()


def test_in_json_all_that_is_said_of_the_end_is_a_record(tmp_path: Path) -> None:
    finishes, stopped = map(json.loads, ended(tmp_path, "json"))
    assert finishes["event"].startswith("Callboard finishes what is under way and stops")
    assert (finishes["level"], finishes["signal"]) == ("info", "SIGTERM")
    assert (stopped["level"], stopped["event"]) == ("info", "stopped")


def test_on_a_console_it_is_said_without_colors_when_that_is_a_file(tmp_path: Path) -> None:
    finishes, stopped = ended(tmp_path, "console")
    assert finishes == "Callboard finishes what is under way and stops; Ctrl-C ends it at once"
    assert "stopped" in stopped
    assert "\x1b" not in stopped


@pytest.mark.parametrize(
    ("written", "warned"),
    [
        ({**SECRET, "CALLBOARD_BIND": "127.0.0.1:8000,0.0.0.0:8000"}, ["0.0.0.0:8000"]),
        ({"CALLBOARD_INSECURE": "yes", "CALLBOARD_BIND": "0.0.0.0:8000"}, ["0.0.0.0:8000"]),
        ({**SECRET, "CALLBOARD_BIND": "127.0.0.1:8000"}, None),
        ({**SECRET, **TLS, "CALLBOARD_BIND": "0.0.0.0:8000"}, None),
    ],
    ids=["jwt", "insecure", "loopback", "tls"],
)
def test_a_server_that_others_may_listen_in_on_warns_of_it_once(written: dict[str, str], warned: object) -> None:
    with capture_logs() as records:
        warn_of_clear_text(from_environment(written, {}))
    assert [record["bind"] for record in records] == ([] if warned is None else [warned])
    assert all("travel in clear unless a proxy encrypts" in record["event"] for record in records)
