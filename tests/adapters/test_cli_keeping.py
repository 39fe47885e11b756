"""`callboard backup` and `restore` as they are typed, and what clients of a restored log are told."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
import trio

from adapters import cli
from adapters.gateways.blobs import FileBlobs
from core.conversation import InterimHeard, UpdateTranscript
from core.identifiers import StreamName
from core.messages import Decision, Stamp
from eventstore.keeping import back_up
from eventstore.opening import open_sqlite
from eventstore.restoring import restore
from tests.adapters.server.process import ServerProcess

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command as typed: exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["callboard", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


async def _fill(log: Path) -> None:
    async with open_sqlite(log) as store:
        heard = Decision(Stamp("c", 1), UpdateTranscript(interim="Ah"), (InterimHeard("Ah"),))
        await store.append(StreamName("conversation-ada"), [heard], expected_version=0)
    await FileBlobs(log.with_name(f"{log.name}-blobs")).put(b"abc")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.db"
    trio.run(_fill, path)
    return path


def test_a_log_is_backed_up_checked_and_restored(run: Run, log: Path, tmp_path: Path) -> None:
    backup, again = tmp_path / "backup", tmp_path / "again.db"
    code, out, err = run("backup", backup, "--store", f"sqlite:///{log}")
    assert (code, err) == (0, "")
    assert out.startswith("Backed up: 1 events, head ")
    assert f"1 blobs (0.0 MB), in {backup}, " in out
    code, out, _ = run("backup", "--verify", backup)
    assert (code, out.partition(",")[0]) == (0, "The backup is whole: 1 events")
    code, out, err = run("restore", backup, "--store", f"sqlite:///{again}")
    assert (code, err) == (0, "")
    assert out.startswith("Restored: 1 events, head ")
    assert "clients that come back with a place of the old one are told everything afresh." in out
    assert "The chain holds" in run("verify", "--store", f"sqlite:///{again}")[1]
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert trio.run(FileBlobs(again.with_name("again.db-blobs")).get, digest) == b"abc"


def test_a_backup_can_be_looked_into_like_any_log(run: Run, log: Path, tmp_path: Path) -> None:
    run("backup", tmp_path / "backup", "--store", f"sqlite:///{log}")
    code, out, _ = run("log", "show", "ada", "--store", f"sqlite:///{tmp_path / 'backup' / 'log.db'}")
    assert (code, "conversation-ada@1" in out) == (0, True)
    assert run("backup", tmp_path / "backup", "--verify")[0] == 0, "looking changes nothing"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("backup", "b", "--store", "sqlite:///none.db"), "there is no log at none.db; name one with --store"),
        (("backup", "b", "--store", "memory:"), "a log in memory cannot be read from outside"),
        (("backup", "b", "--verify"), "b is no backup: it has no manifest.json; name a folder that"),
        (("restore", "b"), "b is no backup: it has no manifest.json; name a folder that"),
        (("restore", "b", "--store", "memory:"), "a log in memory cannot be restored; give --store"),
        (("backup", ".", "--store", "sqlite:///log.db"), "is there already, and is left as it is; name a folder"),
        (("restore", "whole", "--store", "sqlite:///log.db"), "there is already log.db in "),
        (("backup", "/proc/b", "--store", "sqlite:///log.db"), "No such file or directory: /proc/.backup.partial"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    run: Run, log: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], complaint: str
) -> None:
    monkeypatch.chdir(log.parent)
    run("backup", "whole", "--store", "sqlite:///log.db")
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert complaint in err


def test_a_lost_blob_and_keys_left_out_are_warned_of(run: Run, log: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(f"{log}-keys")) as keys:
        keys.execute("CREATE TABLE keys (id TEXT)")
    shutil.rmtree(f"{log}-blobs")
    _, _, err = run("backup", tmp_path / "without", "--store", f"sqlite:///{log}")
    assert "log.db-keys is not in it, and without those keys no sealed text can be read" in err
    _, _, err = run("backup", tmp_path / "with", "--with-keys", "--store", f"sqlite:///{log}")
    assert "with these keys and the master key all of the backup can be read" in err
    _, _, err = run("restore", tmp_path / "with", "--store", f"sqlite:///{tmp_path / 'again.db'}")
    assert "the keys are as old as the backup: see that what was forgotten since is forgotten again" in err


def test_keys_that_a_restored_log_needs_are_asked_for(run: Run, log: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(log)) as sealed:
        sealed.execute("INSERT INTO log_identity VALUES ('keys', 'a ring')")
        sealed.commit()
    run("backup", tmp_path / "backup", "--store", f"sqlite:///{log}")
    code, _, err = run("restore", tmp_path / "backup", "--store", f"sqlite:///{tmp_path / 'again.db'}")
    assert code == 0
    assert "sealed text cannot be read before its keys are there: copy them to " in err
    assert err.endswith("again.db-keys\n")


async def test_who_comes_back_to_a_restored_log_is_told_everything_afresh(tmp_path: Path) -> None:
    log, again = tmp_path / "log.db", tmp_path / "again.db"
    server, restored = (
        ServerProcess(tmp_path / f"server of {path.name}", CALLBOARD_STORE=f"sqlite:///{path}") for path in (log, again)
    )
    try:
        await trio.to_thread.run_sync(server.start)
        id = await server.opened()
        async with server.talk(id, "") as wire:
            place = await _place(server, id)
            await trio.to_thread.run_sync(partial(back_up, log, tmp_path / "backup", version="1"))
            await server.answers(wire, "1")
        assert (await _greeted(server, id, place))["recovered"] is True
        await trio.to_thread.run_sync(server.stop)
        await trio.to_thread.run_sync(restore, tmp_path / "backup", again)
        await trio.to_thread.run_sync(restored.start)
        assert (await _greeted(restored, id, place))["recovered"] is False
        assert restored.faults == server.faults == []
    finally:
        server.stop()
        restored.stop()


async def _place(server: ServerProcess, id: str) -> str:
    greeting = await _greeted(server, id, "")
    return f"?since={greeting['seq']}&epoch={greeting['epoch']}"


async def _greeted(server: ServerProcess, id: str, query: str) -> dict[str, object]:
    async with server.connect() as wire:
        await wire.shake(f"/api/ws/conversations/{id}{query}")
        greeting: dict[str, object] = await wire.told("state_update")
        return greeting
