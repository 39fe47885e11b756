"""Encryption as its owner sets it up, and `callboard forget`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from adapters import cli
from adapters.config import BadSetting, from_environment
from core.conversation import ConversationOpened, OpenConversation
from core.identifiers import Category, StreamName
from core.messages import Decision, Stamp
from eventstore.masterkey import MasterKey
from eventstore.opening import open_sqlite
from tests.adapters.whole import serving

Run = Callable[..., tuple[int, str, str]]

SECRET = "the code of my door is 4711"


@pytest.fixture
def keyed(tmp_path: Path) -> dict[str, str]:
    """Settings of a server whose log is sealed."""
    key = tmp_path / "key"
    key.write_text("5a" * 32)
    return {"CALLBOARD_STORE": f"sqlite:///{tmp_path}/data/log.db", "CALLBOARD_ENCRYPTION_KEY": str(key)}


# --- the setting ------------------------------------------------------------------------------------------------


async def test_with_a_key_the_log_does_not_say_what_people_said(keyed: dict[str, str], tmp_path: Path) -> None:
    """CALLBOARD_ENCRYPTION_KEY."""
    async with serving(**keyed) as server:
        await server.http.post("/api/v2/conversations", json={"topic": SECRET, "user_id": "ann"})
    async with serving(**keyed) as later:
        assert SECRET in (await later.http.get("/api/v2/conversations?user_id=ann")).text
    assert {file.name for file in (tmp_path / "data").iterdir()} >= {"log.db", "log.db-keys"}
    for file in (tmp_path / "data").iterdir():
        assert SECRET.encode() not in file.read_bytes(), file


async def test_a_server_without_the_key_of_its_log_does_not_start(keyed: dict[str, str], tmp_path: Path) -> None:
    async with serving(**keyed) as server:
        await server.opened()
    (tmp_path / "key").write_text("00" * 32)
    for settings in (keyed, {**keyed, "CALLBOARD_ENCRYPTION_KEY": ""}):
        with pytest.RaisesGroup(pytest.RaisesExc(Exception, match="CALLBOARD_ENCRYPTION_KEY"), flatten_subgroups=True):
            async with serving(**settings):
                pass


async def test_a_bad_key_is_named_at_the_start_and_not_shown(keyed: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hunter2")
    with pytest.RaisesGroup(BadSetting, flatten_subgroups=True) as refusal:
        async with serving(**keyed):
            pass
    assert refusal.value.exceptions[0].args[0].startswith(f"CALLBOARD_ENCRYPTION_KEY: {tmp_path}/key holds no key")
    assert "hunter2" not in str(refusal.value.exceptions[0])


def test_a_log_in_memory_is_not_sealed() -> None:
    with pytest.raises(BadSetting, match="CALLBOARD_ENCRYPTION_KEY: a log in memory"):
        from_environment({"CALLBOARD_ENCRYPTION_KEY": "key", "CALLBOARD_STORE": "memory:"}, {})


# --- keys -------------------------------------------------------------------------------------------------------


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command as typed: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["callboard", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


@pytest.fixture
def store(keyed: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A sealed log in which a conversation has SECRET for its topic; the environment names its key."""

    async def fill() -> None:
        async with open_sqlite(tmp_path / "data" / "log.db", master=MasterKey(b"\x5a" * 32)) as store:
            command = OpenConversation("tutor", "voice", SECRET, "ann", "api")
            event = ConversationOpened("tutor", "voice", SECRET, "ann", "api")
            stream = StreamName.of(Category.CONVERSATION, "1")
            await store.append(stream, [Decision(Stamp("c", 1), command, (event,))], expected_version=0)

    trio.run(fill)
    monkeypatch.setenv("CALLBOARD_ENCRYPTION_KEY", keyed["CALLBOARD_ENCRYPTION_KEY"])
    return keyed["CALLBOARD_STORE"]


def test_the_command_line_reads_a_sealed_log_with_its_key_alone(
    store: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SECRET in run("log", "show", "1", "--json", "--store", store)[1]
    assert run("check", "--store", store)[0] == 0
    monkeypatch.delenv("CALLBOARD_ENCRYPTION_KEY")
    assert run("verify", "--store", store)[0] == 0, "the chain needs no key"
    code, out, err = run("log", "show", "1", "--store", store)
    assert (code, out) == (1, "")
    assert "set CALLBOARD_ENCRYPTION_KEY" in err


def test_after_a_rotation_the_new_key_reads_the_log_and_running_it_again_does_no_harm(
    store: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = str(tmp_path / "new")
    assert run("keys", "new", new)[0] == 0
    for _ in range(2):
        code, out, _ = run("keys", "rotate", "--new", new, "--store", store)
        assert (code, out.partition(" ")[0]) == (0, "1")
    code, _, err = run("log", "show", "1", "--store", store)
    assert (code, "not the key" in err) == (1, True)
    monkeypatch.setenv("CALLBOARD_ENCRYPTION_KEY", new)
    assert SECRET in run("log", "show", "1", "--json", "--store", store)[1]


def test_a_subject_gets_a_new_key_and_what_was_sealed_stays_readable(store: str, run: Run) -> None:
    assert run("keys", "renew", "ann", "--store", store)[0] == 0
    assert SECRET in run("log", "show", "1", "--json", "--store", store)[1]


def test_no_key_is_lost_or_shown_by_a_slip(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CALLBOARD_ENCRYPTION_KEY", raising=False)
    key = tmp_path / "key"
    for arguments, reason in (
        (("keys", "new", str(key)), ""),
        (("keys", "new", str(key)), "already"),
        (("keys", "rotate", "--new", str(key)), "no key is named"),
        (("keys", "rotate", "--key", str(key), "--new", str(key), "--store", f"sqlite:///{tmp_path}/x"), "has no keys"),
        (("keys", "rotate", "--key", __file__, "--new", str(key)), "holds no key"),
    ):
        code, out, err = run(*arguments)
        assert (code, reason in err, err.count("\n")) == ((1, True, 1) if reason else (0, True, 0)), err
        assert key.read_text().strip() not in out + err
