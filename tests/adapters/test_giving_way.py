"""All that reads much of a log gives way for each event, and asks whether somebody is there to give way to."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from msgspec import msgpack

from adapters import archive_worker, cli, cli_check, cli_keeping, cli_proof
from adapters.checking import check_share
from adapters.exports import worker as exporting
from adapters.exports.formats import Format
from adapters.exports.writing import Question
from adapters.verification import worker as verification
from adapters.verification.messages import Question as ToVerify
from core.identifiers import Category, StreamName
from eventstore import turns
from eventstore.audit import Filters
from eventstore.opening import open_sqlite
from tests.eventstore.logs import said

EVENTS = 50
STREAM = StreamName.of(Category.CONVERSATION, "long")

Work = Callable[[Path], object]


async def _written(path: Path) -> str:
    async with open_sqlite(path) as store:
        for number in range(EVENTS):
            await store.append(STREAM, [said(f"{number}")], expected_version=number)
        return store.epoch


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "log.db"
    trio.run(_written, path)
    return path


def export(path: Path) -> None:
    told = list[bytes]()
    question = Question(str(path), "", EVENTS, Filters(), Format.JSONL, "out", 0)
    exporting.answer(msgpack.encode(question), told.append)
    assert len(told) >= 2


def verify(path: Path) -> None:
    verification.answer(msgpack.encode(ToVerify(str(path))), lambda message: None)


def archive(path: Path) -> None:
    archive_worker.answer(msgpack.encode(archive_worker.Question(str(path), [str(STREAM)])), lambda message: None)


def check(path: Path) -> None:
    check_share(path, [str(STREAM)] * EVENTS)  # each time up to its first decision, which nobody would make


def command(*words: str) -> Work:
    def run(path: Path) -> None:
        sys.argv[1:] = [*words, "--store", f"sqlite:///{path}"]
        with pytest.raises(SystemExit):
            cli.main()

    return run


@pytest.mark.parametrize("work", [export, verify, archive, check])
def test_whoever_reads_much_of_a_log_may_nap_at_each_event(
    path: Path, monkeypatch: pytest.MonkeyPatch, work: Work
) -> None:
    naps = list[float]()
    monkeypatch.setattr("eventstore.turns.time.sleep", naps.append)
    monkeypatch.setattr(turns, "_end_of_turn", 0.0)
    monkeypatch.setattr(turns, "TURN", 0.0)
    work(path)
    assert len(naps) >= EVENTS


@pytest.mark.parametrize(
    ("module", "work"),
    [
        (exporting, export),
        (verification, verify),
        (archive_worker, archive),
        (cli_check, command("check")),
        (cli_proof, command("verify")),
        (cli_keeping, command("backup", "copy")),
    ],
)
def test_before_it_begins_it_asks_whether_a_server_holds_the_log(
    path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, work: Work
) -> None:
    asked = list[Path]()

    def take_turns(log: Path) -> bool:
        asked.append(log)
        return True

    monkeypatch.setattr(sys, "argv", ["callboard"])
    monkeypatch.chdir(path.parent)
    if module is cli_proof:  # imported where it is needed
        module = turns
    monkeypatch.setattr(module, "take_turns", take_turns)
    work(path)
    assert asked == [path]


@pytest.mark.parametrize(("is_served", "has_all"), [(True, False), (False, True)])
def test_the_gate_has_all_cores_where_no_server_holds_the_log(
    path: Path, monkeypatch: pytest.MonkeyPatch, is_served: bool, has_all: bool
) -> None:
    taken = list[str]()
    monkeypatch.setattr(sys, "argv", ["callboard"])
    monkeypatch.setattr(cli_check, "take_turns", lambda log: is_served)
    monkeypatch.setattr("adapters.priority.take_all_cores", partial(taken.append, "all"))
    command("check")(path)
    assert bool(taken) is has_all
