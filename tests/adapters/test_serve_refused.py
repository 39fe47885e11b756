"""What `callboard serve` says when it cannot start: which setting, what is wrong, what to do, in one line."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters import cli
from tests.adapters import unprivileged
from tests.adapters.certificates import openssl, write_pems

Refused = Callable[..., str]

HERE = ("--bind", "127.0.0.1:0", "--store", "memory:")


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    """What `serve` with these flags says to stderr, one line, before it exits with 1."""

    def refused(*flags: str) -> str:
        monkeypatch.setattr(sys, "argv", ["callboard", "serve", *flags])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 1
        return one_line(capsys.readouterr().err)

    return refused


@pytest.fixture
def open_folder(tmp_path: Path) -> Path:
    """A folder that anybody may come to."""
    unprivileged.open_way_to(tmp_path)
    return tmp_path


def one_line(err: str) -> str:
    assert len(err.splitlines()) == 1, err
    return err.removeprefix("callboard: ").rstrip("\n")


# --- users ------------------------------------------------------------------------------------------------------


def test_a_users_file_that_is_not_there_is_named_with_the_command_that_makes_it(refused: Refused) -> None:
    remedy = "make it with `callboard user add NAME --users nope.txt`"
    assert refused("--users", "nope.txt", *HERE) == f"CALLBOARD_USERS: nope.txt is not there; {remedy}"


def test_the_command_that_makes_it_can_be_typed_whatever_the_files_name(refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "my users"
    assert f"--users '{path}'`" in refused("--users", str(path), *HERE)


def test_a_folder_of_users_is_said_to_be_one(refused: Refused, tmp_path: Path) -> None:
    said = refused("--users", str(tmp_path), *HERE)
    assert said == f"CALLBOARD_USERS: {tmp_path} is a folder; name a file in it"


def test_users_that_are_no_text_are_named(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "users").write_bytes(b"\xff\xfe")
    assert "users cannot be read: it is not UTF-8; write it in UTF-8" in refused("--users", str(tmp_path / "users"))


def test_users_that_may_not_be_read_are_named(open_folder: Path) -> None:
    path = open_folder / "users"
    path.touch(0o000)
    code, _, err = unprivileged.callboard("serve", "--users", str(path), *HERE)
    assert code == 1
    assert one_line(err).startswith(f"CALLBOARD_USERS: {path} cannot be read: Permission denied; ")


# --- TLS --------------------------------------------------------------------------------------------------------


def tls(certificate: Path, key: Path) -> tuple[str, ...]:
    return "--tls-cert", str(certificate), "--tls-key", str(key), *HERE


@pytest.mark.parametrize("setting", ["CALLBOARD_TLS_CERT", "CALLBOARD_TLS_KEY"])
def test_of_two_tls_files_the_one_that_is_missing_is_named(refused: Refused, tmp_path: Path, setting: str) -> None:
    files = dict(zip(("CALLBOARD_TLS_CERT", "CALLBOARD_TLS_KEY"), write_pems(tmp_path, "ours"), strict=True))
    missing = tmp_path / "nope.pem"
    said = refused(*tls(*{**files, setting: missing}.values()))
    assert said == f"{setting}: {missing} is not there; name a PEM file"
    assert refused(*tls(*{**files, setting: tmp_path}.values())).startswith(f"{setting}: {tmp_path} is a folder; ")


def test_a_tls_key_that_may_not_be_read_is_named(open_folder: Path) -> None:
    certificate, key = write_pems(open_folder, "ours")
    certificate.chmod(0o644)
    key.chmod(0o000)
    code, _, err = unprivileged.callboard("serve", *tls(certificate, key))
    assert code == 1
    assert one_line(err).startswith(f"CALLBOARD_TLS_KEY: {key} cannot be read: Permission denied; ")


def test_a_certificate_and_a_key_that_do_not_belong_together_are_named_without_jargon(
    refused: Refused, tmp_path: Path
) -> None:
    (certificate, key), (_, other) = write_pems(tmp_path, "ours"), write_pems(tmp_path, "theirs")
    notes = tmp_path / "notes"
    notes.write_text("no PEM at all")
    for pair in ((key, certificate), (certificate, other), (notes, key), (certificate, notes)):
        reason = f"{pair[0]} and {pair[1]} are no certificate and its key"
        assert refused(*tls(*pair)) == f"CALLBOARD_TLS_CERT: {reason}; name two PEM files that belong together"


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_pass_phrase(refused: Refused, tmp_path: Path) -> None:
    certificate, key = write_pems(tmp_path, "ours")
    encrypted = tmp_path / "encrypted.key"
    openssl("pkey", "-in", key, "-aes256", "-passout", "pass:secret", "-out", encrypted)
    said = refused(*tls(certificate, encrypted))
    assert said.startswith(f"CALLBOARD_TLS_KEY: the key {encrypted} is encrypted; write one without a pass phrase")


# --- addresses --------------------------------------------------------------------------------------------------


def test_of_several_addresses_the_one_that_is_in_use_is_named(refused: Refused) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        said = refused("--bind", "127.0.0.1:0", "--bind", bind, "--store", "memory:")
    assert said == f"cannot listen on {bind}: Address already in use; choose another with --bind"
