"""`callboard migrate` at servers that ask who comes, or that cannot be believed to be who they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from adapters import cli
from adapters.migration import NotMigrated, migrate_at
from tests.adapters.certificates import write_pems
from tests.adapters.server.process import ServerProcess


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[str]:
    """The URL of a server that asks for a token, and gives one to everybody."""
    secret = {"CALLBOARD_AUTH": "jwt", "CALLBOARD_JWT_SECRET": "s" * 32, "CALLBOARD_TEST_ENDPOINTS": "yes"}
    server = ServerProcess(tmp_path / "guarded", **secret)
    try:
        server.start()
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.stop()


def test_who_brings_a_token_moves_a_conversation_where_one_is_asked_for(
    guarded: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with httpx.Client(base_url=guarded) as http:
        token = http.get("/test-token").json()["test_token"]
        bearer = {"authorization": f"Bearer {token}"}
        legacy = http.post("/api/conversation", json={"message": "Hi."}, headers=bearer).json()["session_id"]
    with pytest.raises(NotMigrated, match=r"does not let us in .*Missing authentication token.*; write --token TOKEN"):
        migrate_at(guarded, legacy)
    with pytest.raises(NotMigrated, match=r"does not let us in .*; write another --token"):
        migrate_at(guarded, legacy, token[:-2])
    monkeypatch.setenv("CALLBOARD_TOKEN", token)
    monkeypatch.setattr("sys.argv", ["callboard", "migrate", legacy, "--server", guarded])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    assert capsys.readouterr().out == f"{legacy}\n"


@pytest.mark.parametrize("token", ["two words", "two\r\nlines", "na\u00efve"])
def test_what_cannot_be_a_token_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(NotMigrated, match=r"^--token: that is no token; ") as refused:
        migrate_at("http://127.0.0.1:9", "some-session", token)
    assert token not in str(refused.value)


@pytest.mark.parametrize(
    "server", ["http://127.0.0.1:port", "http://127.0.0.1:99999", "http://a b", "ftp://a", "", "http://[::1"]
)
def test_what_is_no_server_is_said_to_be_none(server: str) -> None:
    with pytest.raises(NotMigrated, match="is no server; write --server http://HOST:PORT"):
        migrate_at(server, "some-session")


def test_a_certificate_that_is_not_to_be_trusted_is_named_as_such(tmp_path: Path) -> None:
    certificate, key = write_pems(tmp_path, "ours")
    files = {"CALLBOARD_TLS_CERT": str(certificate), "CALLBOARD_TLS_KEY": str(key)}
    server = ServerProcess(tmp_path / "secure", **files)
    try:
        server.start()
        with pytest.raises(
            NotMigrated, match=r"^the certificate of https://localhost:.* is not to be trusted: self.signed"
        ):
            migrate_at(f"https://localhost:{server.port}", "some-session")
        with pytest.raises(NotMigrated, match=r"^no Callboard answers at http://"):
            migrate_at(f"http://localhost:{server.port}", "some-session")
    finally:
        server.stop()


def test_a_server_without_tls_is_said_to_have_none(guarded: str) -> None:
    with pytest.raises(NotMigrated, match="does not speak TLS with us; write --server http://"):
        migrate_at(guarded.replace("http:", "https:"), "some-session")
