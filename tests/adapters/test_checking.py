"""`callboard check`: whole logs held against today's code, those of past releases too."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from adapters import checking, cli
from adapters.checking import Checked, check
from adapters.opening import DECIDERS
from core.conversation import ConversationOpened, OpenConversation, UpdateTranscript, conversation
from core.identifiers import Category, StreamName
from core.messages import Decision, Stamp
from eventstore.chain import Verification
from eventstore.decisions import streams
from eventstore.opening import open_sqlite, open_sqlite_read_only
from tests.benchmarks.load import filled
from tests.golden import GOLDEN, unpacked

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A log of 400 events in 8 conversations."""
    path = tmp_path / "log.db"
    filled(path, 400, 8)
    trio.run(_opened, path)
    return path


async def _opened(path: Path) -> None:
    async with open_sqlite(path):
        pass


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["callboard", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


def unheard(_: Checked) -> None:
    """Nobody looks how far it has come."""


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.name)
def test_todays_code_decides_what_was_decided_in_every_release(golden: Path, tmp_path: Path) -> None:
    path = unpacked(golden, tmp_path)
    checked = check(path, unheard, processes=1)
    assert checked.findings == ()
    assert checked.events > 100
    assert {StreamName.parse(name).category for name, _ in streams(path)} >= {*Category} - LATER
    trio.run(_assert_chained, path)


LATER: set[Category] = {Category.AUDIT, Category.DELIVERY}
"""Categories that came after the first golden log."""


async def _assert_chained(path: Path) -> None:
    verification = Verification()
    async with open_sqlite_read_only(path) as store:
        while rows := await store.read_rows(after=verification.position):
            assert verification.check(rows) is None


def test_the_work_may_be_shared_by_processes_and_comes_to_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "SHARE", 100)
    heard = list[Checked]()
    assert check(path, heard.append, processes=2) == check(path, unheard, processes=1) == Checked(400, 8)
    assert sum(share.events for share in heard) == 400
    assert len(heard) == 4


def planted(rule: Callable[[Any, Any], Any]) -> dict[Category, Any]:
    return {**DECIDERS, Category.CONVERSATION: replace(conversation, decide=rule)}


def test_the_first_divergence_of_each_stream_is_told_with_both_versions(path: Path) -> None:
    def decide(state: Any, command: Any) -> Any:
        if isinstance(command, UpdateTranscript):
            return conversation.decide(state, UpdateTranscript(interim="something else"))
        return conversation.decide(state, command)

    names = [name for name, _ in streams(path)]
    checked = checking.check_share(path, names, planted(decide))
    assert [finding.event for finding in checked.findings] == [f"{name}@2" for name in names]
    first = checked.findings[0]
    assert first.reason == "today's code decides otherwise"
    assert first.command.startswith('conversation.update_transcript/1 {"interim":"hello there')
    assert first.recorded[0].startswith('conversation.interim_heard/1 {"text":"hello there')
    assert first.today == ('conversation.interim_heard/1 {"text":"something else","confidence":null}',)


def test_an_event_this_version_does_not_know_is_a_finding_and_other_streams_are_checked(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        (name,) = connection.execute("SELECT originator_id FROM stored_events WHERE rowid = 1").fetchone()
        connection.execute("DROP TRIGGER only_archived")
        statement = "UPDATE stored_events SET topic = 'conversation.sung/1' WHERE originator_id = ? AND "
        connection.execute(statement + "originator_version = 7", (name,))
    checked = check(path, unheard, processes=1)
    (finding,) = checked.findings
    assert finding.event == f"{name}@7"
    assert "conversation.sung/1" in finding.reason
    assert checked.streams == 8


async def _append(path: Path, *decisions: Decision) -> None:
    async with open_sqlite(path) as store:
        await store.append(StreamName("conversation-odd"), decisions, expected_version=0)


def test_the_command_says_what_holds(run: Run, path: Path) -> None:
    code, out, err = run("check", "--store", f"sqlite:///{path}", "--processes", "1")
    assert (code, err) == (0, "")
    assert out.startswith("Today's code decides what the log has: 400 events in 8 streams, ")


def test_the_command_shows_both_versions_and_fails(run: Run, path: Path) -> None:
    told = Decision(Stamp("c", 1), OpenConversation(), (ConversationOpened("grim", "daily", None, None, "api"),))
    trio.run(partial(_append, path, told))
    code, out, _ = run("check", "--store", f"sqlite:///{path}", "--processes", "1")
    assert code == 1
    lines = out.splitlines()
    assert lines[0] == "conversation-odd@1  today's code decides otherwise"
    assert lines[1].startswith("  command     conversation.open/1 {")
    assert lines[2].startswith('  in the log  conversation.opened/1 {"personality":"grim"')
    assert lines[3].startswith('  today       conversation.opened/1 {"personality":"friendly_neutral"')
    assert lines[4].startswith("Today's code differs from the log in one stream; 401 events in 9 streams, ")
    assert run("check", "--stream", "odd", "--store", f"sqlite:///{path}")[0] == 1


def test_a_stream_or_a_log_that_is_not_there_is_named_in_one_line(run: Run, path: Path, tmp_path: Path) -> None:
    code, out, err = run("check", "--stream", "nobody", "--store", f"sqlite:///{path}")
    assert (code, out) == (1, "")
    assert err.startswith("callboard: the log has no stream conversation-nobody; ")
    code, out, err = run("check", "--store", f"sqlite:///{tmp_path / 'none.db'}")
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
