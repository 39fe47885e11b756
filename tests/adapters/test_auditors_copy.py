"""The log in the hands of somebody who may read it and nothing else: an auditor's copy, files 444 in a folder 555."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from core.conversation import ConversationOpened, OpenConversation
from core.identifiers import StreamName
from core.messages import Decision, Stamp
from eventstore.opening import open_sqlite
from tests.adapters import unprivileged

LOOKS = [("verify",), ("log", "tail"), ("log", "show", "ada"), ("replay", "ada"), ("replay", "ada", "--at", "1")]


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Path]:
    """An empty folder for the copy, open to everybody. `seal` makes it what an auditor has."""
    unprivileged.open_way_to(tmp_path)
    folder = tmp_path / "copy"
    folder.mkdir(mode=0o755)
    yield folder
    folder.chmod(0o755)


def write_log(folder: Path) -> Path:
    """A log of one event, and what it looked like while it was still open, in a folder `open` beside it."""

    async def write() -> None:
        async with open_sqlite(folder / "log.db") as store:
            opened = Decision(Stamp("c", 1), OpenConversation(), (ConversationOpened("x", "y", "boats", None, "api"),))
            await store.append(StreamName("conversation-ada"), [opened], expected_version=0)
            _copy_all(folder, folder / "open")

    trio.run(write)
    return folder / "log.db"


def _copy_all(folder: Path, to: Path) -> None:
    to.mkdir()
    for file in folder.glob("log.db*"):
        shutil.copy(file, to)


def seal(folder: Path) -> None:
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(0o555)


@pytest.mark.parametrize("look", LOOKS, ids=" ".join)
def test_a_copy_that_cannot_be_written_can_be_looked_into(copy: Path, tmp_path: Path, look: tuple[str, ...]) -> None:
    log = shutil.copy(write_log(tmp_path), copy)
    seal(copy)
    code, out, err = unprivileged.callboard(*look, "--store", f"sqlite:///{log}")
    assert (code, err) == (0, "")
    assert out
    assert [file.name for file in copy.iterdir()] == ["log.db"], "and nothing is left beside it"


def test_an_empty_write_ahead_log_beside_the_copy_is_no_hindrance(copy: Path, tmp_path: Path) -> None:
    log = shutil.copy(write_log(tmp_path), copy)
    (copy / "log.db-wal").touch()
    seal(copy)
    assert "The chain holds: 1 events" in unprivileged.callboard("verify", "--store", f"sqlite:///{log}")[1]


def test_a_copy_of_a_log_in_use_can_be_read_when_all_its_files_were_copied(copy: Path, tmp_path: Path) -> None:
    write_log(tmp_path)
    for name in ("log.db", "log.db-wal", "log.db-shm"):
        shutil.copy(tmp_path / "open" / name, copy)
    seal(copy)
    code, out, err = unprivileged.callboard("verify", "--store", f"sqlite:///{copy / 'log.db'}")
    assert (code, err) == (0, "")
    assert "The chain holds: 1 events" in out


def test_newest_events_that_cannot_be_read_where_they_are_are_named_with_the_remedy(copy: Path, tmp_path: Path) -> None:
    write_log(tmp_path)
    for name in ("log.db", "log.db-wal"):
        shutil.copy(tmp_path / "open" / name, copy)
    seal(copy)
    code, _, err = unprivileged.callboard("verify", "--store", f"sqlite:///{copy / 'log.db'}")
    assert code == 1
    assert "its newest events are in log.db-wal" in err
    assert "copy both files into a folder of yours" in err
    assert "not a Callboard log" not in err
    assert len(err.splitlines()) == 1


def test_a_log_that_may_not_be_read_is_not_said_to_be_no_log(copy: Path, tmp_path: Path) -> None:
    log = Path(shutil.copy(write_log(tmp_path), copy))
    log.chmod(0o000)
    code, _, err = unprivileged.callboard("verify", "--store", f"sqlite:///{log}")
    assert code == 1
    assert f"the log {log} cannot be read: " in err
    assert "not a Callboard log" not in err
    assert len(err.splitlines()) == 1
