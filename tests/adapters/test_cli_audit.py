"""`callboard audit`: what is told at a file and at a server, and that it is on record."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from msgspec import json

from adapters import cli
from adapters.opening import open_store
from adapters.setting_values import StoreAddress
from core.conversation import InterimHeard, OpenConversation, UpdateTranscript
from core.decider import CommandRejected
from core.identifiers import Category, StreamName
from core.messages import Decision, Stamp
from eventstore.audit import AuditLog, Entry, Filters
from eventstore.index_reading import index_path
from tests.adapters.whole import serving

Run = Callable[..., tuple[int, str, str]]
TALK = StreamName.of(Category.CONVERSATION, "ada")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`callboard audit` as typed: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["callboard", "audit", *arguments])
        monkeypatch.setenv("LOGNAME", "grace")
        with pytest.raises(SystemExit) as ended:
            cli.main()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return run


async def fill(path: Path) -> None:
    told: list[tuple[Any, Any]] = [
        (UpdateTranscript(interim="a needle"), InterimHeard("a needle")),
        (UpdateTranscript(interim="some hay"), InterimHeard("some hay")),
        (OpenConversation(), CommandRejected("conversation_exists", "There is one")),
    ]
    decisions = [
        Decision(Stamp(f"c{n}", 1_700_000_000_000_000 + n), it, (event,)) for n, (it, event) in enumerate(told)
    ]
    async with open_store(StoreAddress(path), apart=False) as store:
        await store.append(TALK, decisions, expected_version=0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A log of two things heard and one refused."""
    trio.run(fill, tmp_path / "log.db")
    return tmp_path / "log.db"


def accesses(path: Path) -> list[Entry]:
    async def look() -> list[Entry]:
        return list((await AuditLog(path).page(Filters(category="audit"))).entries)

    return trio.run(look)


def test_what_is_found_at_a_file_is_told_and_recorded_under_the_user_s_name(run: Run, path: Path) -> None:
    code, out, err = run("search", "--text", "needle", "--store", f"sqlite:///{path}")
    assert (code, err) == (0, "")
    assert "conversation-ada@1 conversation.interim_heard/1" in out
    assert "a needle" in out
    assert "some hay" not in out
    (entry,) = accesses(path)
    assert (entry.principal, entry.origin, entry.event) == ("grace", "cli", "audit.accessed/1")
    assert "needle" not in f"{entry.payload}{entry.command}"
    assert msgspec.json.decode(entry.payload)["entries"] == 1
    assert index_path(path).exists()


def test_an_answer_goes_on_where_the_one_before_ended(run: Run, path: Path) -> None:
    asked = ("search", "--stream", TALK, "--json", "-n", "2", "--newest-first", "--store", f"sqlite:///{path}")
    _, out, err = run(*asked)
    assert [msgspec.json.decode(line)["position"] for line in out.splitlines()] == [3, 2]
    _, out, err = run(*asked, "--cursor", err.split()[-1])
    assert [msgspec.json.decode(line)["position"] for line in out.splitlines()] == [1]
    assert err == ""


def test_events_are_counted(run: Run, path: Path) -> None:
    store = f"sqlite:///{path}"
    assert run("count", "--rejected", "--store", store)[1] == "1\n"
    assert run("count", "--accepted", "--category", "conversation", "--store", store)[1] == "2\n"
    assert run("count", "--at-most", "2", "--store", store)[1] == "2 or more\n"
    assert [msgspec.json.decode(entry.payload)["way"] for entry in accesses(path)] == ["count"] * 3


def test_what_is_asked_wrongly_is_said_in_one_line(run: Run, path: Path) -> None:
    wrong = {
        ("--since", "yesterday"): "--since: 'yesterday' is not a time; write it as",
        ("--text", "s* " * 17): "--text: there are 17 words and phrases in it; write 16 at most",
        ("--text", "..."): "--text: there is no word in it",
        ("--cursor", "?"): "--cursor: this is no cursor",
        ("--server", "nowhere"): "--server: not an address",
        ("--server", "http://127.0.0.1:1"): "no Callboard answers at http://127.0.0.1:1",
        ("--store", f"sqlite:///{path}-not"): "there is no log at",
    }
    for arguments, complaint in wrong.items():
        code, out, err = run("search", "--store", f"sqlite:///{path}", *arguments)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert complaint in err
    assert accesses(path) == []


def test_what_would_take_too_long_is_said_in_one_line(run: Run, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventstore.audit.STEPS", 10)
    monkeypatch.setattr("eventstore.audit.SECONDS", 0.0)
    for way in ("search", "count"):
        code, out, err = run(way, "--text", "hay", "--store", f"sqlite:///{path}")
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert "too broad: ask for less" in err


@pytest.mark.parametrize(("words", "way"), [(["why"], "causes"), (["proof", "make"], "proof")])
def test_who_is_told_of_an_event_in_other_ways_is_recorded_too(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], way: str
) -> None:
    more = ["--fresh"] if way == "proof" else []
    monkeypatch.setattr(sys, "argv", ["callboard", *words, "conversation-ada@2", *more, "--store", f"sqlite:///{path}"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert (ended.value.code or 0, capsys.readouterr().err) == (0, "")
    (entry,) = accesses(path)
    told = json.decode(entry.payload)
    assert (told["way"], told["question"]) == (way, {"stream": "conversation-ada", "version": 2})
    assert entry.origin == "cli"


def test_a_file_that_another_process_writes_to_is_read_and_said_not_to_be_recorded(run: Run, path: Path) -> None:
    async def meanwhile() -> tuple[int, str, str]:
        async with open_store(StoreAddress(path), apart=False):
            return await trio.to_thread.run_sync(partial(run, "count", "--store", f"sqlite:///{path}"))

    code, out, err = trio.run(meanwhile)
    assert (code, out) == (0, "3\n")
    assert "this reading is not recorded in the log (another process is serving" in err
    assert accesses(path) == []


def test_a_server_is_asked_and_records_it(run: Run, path: Path) -> None:
    async def asked() -> list[tuple[int, str, str]]:
        async with serving(CALLBOARD_STORE=f"sqlite:///{path}") as whole:
            server = ("--server", whole.urls[0])
            return [
                await trio.to_thread.run_sync(partial(run, *arguments, *server))
                for arguments in (("search", "--rejected"), ("count", "--stream", TALK), ("search", "--cursor", "?"))
            ]

    searched, counted, wrong = trio.run(asked)
    assert "conversation_exists" in searched[1]
    assert counted[1].endswith("3\n")
    assert wrong[0] == 1
    assert "--cursor" in wrong[2]
    assert [msgspec.json.decode(entry.payload)["way"] for entry in accesses(path)] == ["search", "count"]
