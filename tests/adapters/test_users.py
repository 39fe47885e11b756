"""The users file and `callboard user add`."""

from __future__ import annotations

import io
import os
import pty
import select
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import argon2
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from adapters import cli
from adapters.roles import Role
from adapters.users import BadUsers, User, Users

CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "correct horse battery staple"
HASH = CHEAP.hash(PASSWORD)
CLIENT = frozenset({Role.CLIENT})

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def users(tmp_path: Path) -> Users:
    return Users(tmp_path / "users", CHEAP)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command as typed, with what is piped into it: exit code, stdout, stderr."""
    monkeypatch.delenv("CALLBOARD_USERS", raising=False)
    monkeypatch.setattr(argon2, "PasswordHasher", lambda: CHEAP)

    def run(*arguments: str, piped: str | bytes = PASSWORD + "\n") -> tuple[int, str, str]:
        given = piped if isinstance(piped, bytes) else piped.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), encoding="utf-8"))
        monkeypatch.setattr(sys, "argv", ["callboard", "user", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


# --- who may come in --------------------------------------------------------------------------------------------


async def test_the_right_password_gives_the_users_roles(users: Users) -> None:
    users.add("ada", PASSWORD, [Role.AUDITOR])
    assert await users.verify("ada", PASSWORD) == frozenset({Role.AUDITOR, Role.CLIENT})


@pytest.mark.parametrize("password", ["", "wrong", PASSWORD.upper(), PASSWORD + " ", "\ud800", "x" * 100_000, "nul\0"])
async def test_a_wrong_password_gives_nothing(users: Users, password: str) -> None:
    users.add("ada", PASSWORD)
    assert await users.verify("ada", password) is None


@pytest.mark.parametrize("name", ["", "eve", "Ada", "ada ", "ada:client", "\ud800", "# people", "x" * 100_000])
async def test_a_name_nobody_has_gives_nothing_even_with_somebodys_password(users: Users, name: str) -> None:
    users.add("ada", PASSWORD)
    assert await users.verify(name, PASSWORD) is None


async def test_nobody_can_be_told_from_somebody_by_the_time_it_takes(tmp_path: Path) -> None:
    """A password is looked at for every name, by the cost of the hashes in the file."""
    looked_at: list[str] = []

    class Watched(argon2.PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Any:
            looked_at.append(str(hash))
            return super().verify(hash, password)

    users = Users(tmp_path / "users", Watched(time_cost=1, memory_cost=8, parallelism=1))
    users.add("ada", PASSWORD)
    for name in ("ada", "eve"):
        await users.verify(name, "wrong")
    assert looked_at == [users.read()["ada"].hash] * 2
    users.path.write_text("# nobody yet\n")
    assert await users.verify("ada", PASSWORD) is None
    assert argon2.extract_parameters(looked_at[2]) == argon2.profiles.RFC_9106_LOW_MEMORY


class Slow(argon2.PasswordHasher):
    """Takes as long over each password as the test likes."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go, self.lock = threading.Semaphore(0), threading.Event(), threading.Lock()
        self.under_way = self.most = self.done = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> Any:
        with self.lock:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        self.begun.release()
        assert self.go.wait(10)
        with self.lock:
            self.under_way, self.done = self.under_way - 1, self.done + 1
        return True


async def test_looking_at_passwords_leaves_the_event_loop_free(tmp_path: Path) -> None:
    slow = Slow()
    users = Users(tmp_path / "users", slow)
    users.path.write_text(f"ada:client:{HASH}\n")
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(users.verify, "ada", PASSWORD)
        with trio.fail_after(5):
            for _ in range(2):
                await trio.to_thread.run_sync(slow.begun.acquire)
        assert (slow.most, slow.done) == (2, 0)  # we are here while they are being looked at
        slow.go.set()
    assert (slow.most, slow.done) == (2, 5)


async def test_the_file_is_read_anew_at_every_log_in(users: Users) -> None:
    users.add("ada", PASSWORD)
    Users(users.path, CHEAP).add("ada", "another password", [Role.OPERATOR], replace=True)
    assert await users.verify("ada", PASSWORD) is None
    assert await users.verify("ada", "another password") == frozenset({Role.OPERATOR, Role.CLIENT})
    users.path.write_text("")
    assert await users.verify("ada", "another password") is None


async def test_one_password_typed_on_different_keyboards_is_one_password(users: Users) -> None:
    users.add("ada", "caf\u00e9")
    assert await users.verify("ada", "cafe\u0301") == CLIENT


async def test_a_hash_that_cannot_be_decoded_lets_nobody_in_and_is_logged(users: Users) -> None:
    users.path.write_text(f"ada:client:{HASH[:-6]}\n")  # a length no bytes have in base64
    with capture_logs() as logs:
        assert await users.verify("ada", PASSWORD) is None
    assert [line["log_level"] for line in logs] == ["error"]
    assert HASH[-30:-5] not in str(logs)


# --- the file ---------------------------------------------------------------------------------------------------


def test_a_file_written_by_hand_is_read(users: Users) -> None:
    users.path.write_text(f"# people\n\n  ada : operator , auditor : {HASH}  \nbob::{HASH}\r\n")
    ada, bob = users.read().values()
    assert ada == User("ada", frozenset(Role), HASH)
    assert bob == User("bob", CLIENT, HASH)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("ada", "line 1: not a user; write NAME:ROLES:HASH"),
        ("ada:HASH", "line 1: not a user"),
        ("ada:client:HASH:more", "line 1: not a user"),
        ("\n\nada:admin:HASH", "line 3: 'admin' is no role; write client, operator, auditor"),
        ("a d a:client:HASH", "line 1: 'a d a' is no user's name"),
        (f":client:{HASH}", "line 1: '' is no user's name"),
        (f"ada::{HASH}\nada::{HASH}", "line 2: ada is there twice; remove one of the lines"),
        ("ada:client:secret", "line 1: that is no argon2 hash; write it with `callboard user add ada --replace`"),
        ("ada:client:$2b$12$abcdefghijklmnopqrstuv", "line 1: that is no argon2 hash"),
    ],
)
async def test_a_line_that_cannot_be_read_is_named_without_its_hash(users: Users, text: str, complaint: str) -> None:
    users.path.write_text(text.replace("HASH", HASH))
    with pytest.raises(BadUsers) as bad:
        await users.verify("ada", PASSWORD)
    assert complaint in str(bad.value)
    assert "\n" not in str(bad.value)
    assert "secret" not in str(bad.value)
    assert "$" not in str(bad.value)


@pytest.mark.parametrize("kind", ["absent", "folder", "binary"])
def test_a_file_that_cannot_be_read_is_one_line(users: Users, kind: str) -> None:
    if kind == "folder":
        users.path.mkdir()
    if kind == "binary":
        users.path.write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(BadUsers) as bad:
        users.read()
    assert str(users.path) in str(bad.value)
    assert "\n" not in str(bad.value)


def test_adding_keeps_the_other_lines_and_each_users_place(users: Users) -> None:
    users.path.write_text(f"# people\nada:client:{HASH}\n\n# more\nbob:client:{HASH}")
    users.add("ada", "another password", [Role.AUDITOR], replace=True)
    users.add("eve", PASSWORD)
    lines = users.path.read_text().split("\n")
    assert [line.partition(":")[0] for line in lines] == ["# people", "ada", "", "# more", "bob", "eve", ""]
    assert lines[1].startswith("ada:client,auditor:$argon2id$")
    assert lines[4] == f"bob:client:{HASH}"


def test_only_its_owner_may_read_the_file_whatever_it_was_before(users: Users) -> None:
    users.path.write_text("")
    users.path.chmod(0o644)
    users.add("ada", PASSWORD)
    assert stat.S_IMODE(users.path.stat().st_mode) == 0o600
    assert [path.name for path in users.path.parent.iterdir()] == ["users"]


def test_the_file_stays_its_owners_whoever_rewrites_it(users: Users, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr("adapters.users.os.fchown", lambda _, user, group: given.append((user, group)))
    users.add("ada", PASSWORD)
    assert given == []
    users.add("eve", PASSWORD)
    assert given == [(users.path.stat().st_uid, users.path.stat().st_gid)]


def test_a_name_that_is_there_is_replaced_only_when_that_is_said(users: Users) -> None:
    users.add("ada", PASSWORD)
    before = users.path.read_text()
    with pytest.raises(BadUsers, match="write --replace"):
        users.add("ada", "another password")
    assert users.path.read_text() == before


def test_a_file_at_the_end_of_a_link_is_rewritten_and_the_link_stays(users: Users, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(users.path)
    Users(link, CHEAP).add("ada", PASSWORD)
    assert link.is_symlink()
    assert set(users.read()) == {"ada"}


def test_a_failure_on_the_way_leaves_the_file_as_it_was(users: Users, monkeypatch: pytest.MonkeyPatch) -> None:
    users.add("ada", PASSWORD)
    before = users.path.read_text()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("adapters.users.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        users.add("eve", PASSWORD)
    assert users.path.read_text() == before
    assert [path.name for path in users.path.parent.iterdir()] == ["users"]


def test_two_who_add_at_the_same_time_are_both_in_the_file(users: Users) -> None:
    async def add_all() -> None:
        async with trio.open_nursery() as nursery:
            for n in range(12):
                nursery.start_soon(trio.to_thread.run_sync, partial(users.add, f"user{n}", PASSWORD))

    trio.run(add_all)
    assert set(users.read()) == {f"user{n}" for n in range(12)}


@given(name=st.text(max_size=12), password=st.text(max_size=12))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_can_be_added_can_be_read_again(tmp_path: Path, name: str, password: str) -> None:
    users = Users(tmp_path / "users", CHEAP)
    users.path.unlink(missing_ok=True)
    users.add("first", PASSWORD)
    try:
        users.add(name, password, replace=True)
    except BadUsers:
        assert set(users.read()) == {"first"}
    else:
        assert users.read().keys() == {"first", name}
        assert trio.run(users.verify, name, password) == CLIENT


def test_a_hash_is_not_shown_with_its_user() -> None:
    assert repr(User("ada", CLIENT, HASH)) == "User('ada')"


# --- the command ------------------------------------------------------------------------------------------------


def test_a_user_is_added_with_the_password_from_stdin(run: Run, users: Users) -> None:
    code, out, err = run("add", "ada", "--role", "operator", "--role", "auditor", "--users", str(users.path))
    assert (code, err) == (0, "")
    assert out == f"ada is in {users.path} now, as client, operator, auditor\n"
    assert trio.run(users.verify, "ada", PASSWORD) == frozenset(Role)


def test_the_file_may_be_named_in_the_environment(run: Run, users: Users, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOARD_USERS", str(users.path))
    assert run("add", "ada")[0] == 0
    assert users.read()["ada"].roles == CLIENT


@pytest.mark.parametrize("piped", [PASSWORD, PASSWORD + "\n", PASSWORD + "\r\n", PASSWORD + "\nmore\n"])
def test_the_password_is_the_first_line_of_what_is_piped_in(run: Run, users: Users, piped: str) -> None:
    assert run("add", "ada", "--users", str(users.path), piped=piped)[0] == 0
    assert trio.run(users.verify, "ada", PASSWORD) == CLIENT


@pytest.mark.parametrize(
    ("arguments", "piped", "complaint"),
    [
        (("add", "ada"), PASSWORD, "no users file; write --users FILE, or set CALLBOARD_USERS"),
        (("add", "a:b", "--users", "FILE"), PASSWORD, "'a:b' is no user's name; write up to 64 letters"),
        (("add", "x" * 65, "--users", "FILE"), PASSWORD, "is no user's name"),
        (("add", "anonymous", "--users", "FILE"), PASSWORD, "write another name"),
        (("add", "ada", "--users", "FILE"), "", "the password is empty; write one"),
        (("add", "ada", "--users", "FILE"), "\n", "the password is empty; write one"),
        (("add", "ada", "--users", "FILE"), "bell\a\n", "not a password; write one line"),
        (("add", "ada", "--users", "FILE"), "x" * 1025, "not a password; write one line of at most 1024"),
        (("add", "ada", "--users", "FILE"), b"\xff\xfe\n", "the password is not UTF-8"),
        (("add", "ada", "--users", "FILE/x"), PASSWORD, "there is no folder"),
        (("add", "bob", "--users", "FILE"), PASSWORD, "write --replace for a new password and new roles"),
        (("add", "ada", "--role", "admin", "--users", "FILE"), PASSWORD, "admin"),
    ],
)
def test_what_cannot_be_done_is_one_line_with_the_remedy(
    run: Run, users: Users, arguments: tuple[str, ...], piped: str | bytes, complaint: str
) -> None:
    users.path.write_text(f"bob:client:{HASH}\n")
    code, out, err = run(*(part.replace("FILE", str(users.path)) for part in arguments), piped=piped)
    assert code != 0
    assert out == ""
    assert complaint in err
    assert err.startswith("callboard: ")
    assert err.count("\n") == 1
    assert users.path.read_text() == f"bob:client:{HASH}\n"


def test_a_broken_file_is_named_before_a_password_is_asked_for(run: Run, users: Users) -> None:
    users.path.write_text("rubbish\n")
    code, _, err = run("add", "ada", "--users", str(users.path), piped="")
    assert (code, err.count("\n")) == (1, 1)
    assert f"{users.path}, line 1: not a user" in err


def test_replace_gives_a_new_password_and_new_roles(run: Run, users: Users) -> None:
    users.add("ada", "an old password", [Role.AUDITOR])
    assert run("add", "ada", "--replace", "--users", str(users.path))[0] == 0
    assert trio.run(users.verify, "ada", PASSWORD) == CLIENT


def test_on_a_terminal_the_password_is_asked_for_twice_and_not_shown(users: Users) -> None:
    terminal, end = pty.openpty()
    command = [str(Path(sys.executable).with_name("callboard")), "user", "add", "ada", "--users", str(users.path)]
    with subprocess.Popen(command, stdin=end, stdout=end, stderr=end, start_new_session=True) as process:
        os.close(end)
        shown = read_until(terminal, b"Password: ")
        os.write(terminal, PASSWORD.encode() + b"\n")
        shown += read_until(terminal, b"confirmation: ")
        os.write(terminal, PASSWORD.encode() + b"\n")
        shown += read_until(terminal, b"client")
    os.close(terminal)
    assert process.returncode == 0
    assert PASSWORD.encode() not in shown
    assert trio.run(users.verify, "ada", PASSWORD) == CLIENT


def read_until(terminal: int, text: bytes) -> bytes:
    """What the terminal shows up to `text`, or up to the end of the program that should have shown it."""
    shown = b""
    while text not in shown:
        ready, _, _ = select.select([terminal], [], [], 20)
        assert ready, shown
        shown += os.read(terminal, 1000)
    return shown
