"""`callboard fork` and `callboard compare`, in files and at a server."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from msgspec import json
from rich.console import Console

from adapters import cli
from adapters.cli_fork import PRINCIPAL
from adapters.comparing import NARROW, Told, compare, tell
from core.conversation import (
    BeginReply,
    CompleteReply,
    ConversationForked,
    MessageSaid,
    OpenConversation,
    ReplyBegun,
    Role,
    Say,
    conversation,
)
from core.identifiers import StreamName
from core.messages import Decision, Recorded, Stamp
from eventstore.opening import open_sqlite, open_sqlite_read_only
from tests.adapters.whole import serving

Run = Callable[..., tuple[int, str, str]]
SOURCE = StreamName("conversation-0196f7a0-0000-7000-8000-000000000001")
FORK = StreamName("conversation-0196f7a0-0000-7000-8000-000000000002")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    monkeypatch.setenv("CALLBOARD_STORE", f"sqlite:///{tmp_path}/log.db")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["callboard", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


async def _talked(path: Path, *texts: str) -> None:
    """A conversation in which each of these was said to the assistant, and answered."""
    order = OpenConversation()
    opened = conversation.decide(conversation.initial, order)
    assert isinstance(opened, tuple)
    decisions, state = [Decision(Stamp("c", 1), order, opened)], conversation.fold(conversation.initial, opened)
    for number, text in enumerate(texts):
        for command in answered(number, text):
            decided = conversation.decide(state, command)
            assert isinstance(decided, tuple)
            decisions.append(Decision(Stamp("c", number + 2), command, decided))
            state = conversation.fold(state, decided)
    async with open_sqlite(path) as store:
        await store.append(SOURCE, decisions, expected_version=0)


def answered(number: int, text: str) -> list[Any]:
    said = Say(f"m{number}", f"r{number}", text)
    return [said, BeginReply(said.reply_id, "m"), CompleteReply(said.reply_id, 1, f"Answer to {text}")]


async def _events(path: Path, stream: StreamName) -> list[Recorded]:
    async with open_sqlite_read_only(path) as store:
        return await store.read_stream(stream)


def test_a_fork_in_a_file_says_what_it_is_and_where_it_was_rounded_to(run: Run, tmp_path: Path) -> None:
    trio.run(_talked, tmp_path / "log.db", "one", "two")
    code, out, err = run("fork", SOURCE, "--at", "3", "--as", FORK.id, "--model", "poet", "--topic", "the sea")
    assert (code, err) == (0, "")
    first, hint = out.splitlines()
    assert first == f"{FORK} goes on from {SOURCE} at version 4 (3 lies amid a decision, which ends there)"
    assert hint == f"callboard compare {SOURCE} {FORK}"
    lineage = trio.run(_events, tmp_path / "log.db", FORK)[-1]
    assert lineage.event == ConversationForked(SOURCE, 4, "poet", None, None, "the sea")
    assert (lineage.version, lineage.stamp.principal) == (5, PRINCIPAL)
    assert run("check")[0] == 0


def test_a_fork_is_gone_on_with_where_no_server_is_and_compared(run: Run, tmp_path: Path) -> None:
    trio.run(_talked, tmp_path / "log.db", "Hello.", "I have a dog.")
    code, out, err = run("fork", SOURCE, "--at", "1", "--as", FORK.id, "--personality", "playful", "--continue")
    assert (code, err) == (0, "")
    assert [line for line in out.splitlines() if line.startswith("user")] == [
        "user       Hello.", "user       I have a dog.",
    ]  # fmt: skip
    events = [record.event for record in trio.run(_events, tmp_path / "log.db", FORK)]
    answers = [event.content for event in events if isinstance(event, MessageSaid) and event.role is Role.ASSISTANT]
    assert [line[11:] for line in out.splitlines() if line.startswith("assistant")] == answers
    assert len(answers) == 2
    assert run("check")[0] == 0
    code, out, _ = run("compare", SOURCE, FORK)
    assert (code, out.splitlines()[0]) == (0, "The same up to version 1, then they part.")
    assert "personality 'playful'" in out
    found = json.decode(run("compare", FORK, SOURCE, "--json")[1])
    theirs = found["streams"][1]
    assert (found["common"], found["streams"][0]["lineage"]["source"]) == (1, SOURCE)
    assert [event["version"] for event in theirs["events"]] == [*range(2, theirs["version"] + 1)]
    code, out, _ = run("fork", FORK, "--continue")
    assert "nothing was said in the source after that" in out


def test_what_goes_wrong_is_one_line(run: Run, tmp_path: Path) -> None:
    code, _, err = run("fork", SOURCE)
    assert (code, err.count("\n")) == (1, 1)
    assert "there is no log at" in err
    trio.run(_talked, tmp_path / "log.db", "one")
    for arguments, reason in (
        (("fork", SOURCE, "--at", "99"), "so there is no version 99 to go on from"),
        (("fork", SOURCE, "--at", "99", "--continue"), "so there is no version 99 to go on from"),
        (("fork", SOURCE, "--as", SOURCE.id), "give the fork another name"),
        (("fork", SOURCE, "--server", "http://127.0.0.1:1"), "no Callboard answers at http://127.0.0.1:1"),
        (("compare", SOURCE, "call-x"), "write two conversations, or two calls"),
        (("compare", SOURCE, FORK), f"the log has no stream {FORK}"),
    ):
        code, _, err = run(*arguments)
        assert (code, err.count("\n")) == (1, 1)
        assert reason in err


async def test_a_log_that_a_server_holds_is_forked_through_it(run: Run, tmp_path: Path) -> None:
    async with serving(CALLBOARD_STORE=f"sqlite:///{tmp_path}/log.db") as server:
        id = await server.opened()
        for text in ("Hello.", "I have a dog."):
            await server.http.post(f"/api/v2/conversations/{id}/messages", json={"content": text})
        code, _, err = await trio.to_thread.run_sync(partial(run, "fork", id))
        assert (code, err.count("\n")) == (1, 1)
        assert "or fork through it, with --server URL" in err
        wanted = ("fork", id, "--at", "1", "--personality", "playful", "--continue", "--server", server.urls[0])
        code, out, err = await trio.to_thread.run_sync(partial(run, *wanted))
        assert (code, err) == (0, "")
        assert [line[11:] for line in out.splitlines() if line.startswith("user")] == ["Hello.", "I have a dog."]
        [made] = [line for line in out.splitlines() if "goes on from" in line]  # among what the server notes
        fork = made.split(" ")[0].removeprefix("conversation-")
        rows = (await server.http.get("/api/v2/conversations")).json()["conversations"]
        assert fork in [row["id"] for row in rows]
        async with server.connect(f"/api/ws/conversations/{fork}") as socket:  # it is a conversation like any other
            greeting = json.decode(await socket.wire.get_message())
            assert greeting["payload"]["current_state"] == "waiting_for_user"
        code, _, err = await trio.to_thread.run_sync(partial(run, *wanted[:2], "--at", "99", *wanted[-2:]))
        assert (code, err.count("\n")) == (1, 1)
        assert "was not forked: " in err


async def test_whoever_is_no_operator_forks_nothing() -> None:
    secret = {"CALLBOARD_AUTH": "jwt", "CALLBOARD_JWT_SECRET": "s" * 32, "CALLBOARD_TEST_ENDPOINTS": "yes"}
    async with serving(**secret) as server:
        token = (await server.http.get("/test-token")).json()["test_token"]
        bearer = {"authorization": f"Bearer {token}"}
        for what in ("fork", "continue"):
            path = f"/api/audit/streams/conversation-x/{what}"
            answer: httpx.Response = await server.http.post(path, json={}, headers=bearer)
            assert (answer.status_code, answer.json()["detail"]) == (403, "This needs the role operator")


def recorded(stream: StreamName, *events: Any) -> Told:
    stamps = (Stamp("c", version * 1_000_000) for version in range(len(events)))
    pairs = zip(events, stamps, strict=True)
    return Told(stream, [Recorded(n, stream, n, event, stamp) for n, (event, stamp) in enumerate(pairs, start=1)])


def said(number: int, text: str) -> MessageSaid:
    return MessageSaid(f"m{number}", Role.USER, text, reply_id=f"r{number}")


def told(one: Told, other: Told, width: int) -> list[str]:
    console = Console(width=width)
    with console.capture() as captured:
        console.print(tell(compare(one, other), conversation, width))
    return [line.rstrip() for line in captured.get().splitlines() if line.strip()]


@pytest.mark.parametrize("width", [NARROW + 20, NARROW - 20])
def test_what_was_said_to_both_stands_beside_each_other_or_below(width: int) -> None:
    one = recorded(SOURCE, said(1, "one"), ReplyBegun("r1", 1, "m"), said(2, "two"), said(3, "three"))
    other = recorded(FORK, said(1, "one"), ConversationForked(SOURCE, 1, "poet"), said(2, "two"))
    lines = told(one, other, width)
    assert lines[0] == "The same up to version 1, then they part."
    both = [line for line in lines if line.count("“two”") == 2]
    assert len(both) == (1 if width >= NARROW else 0)
    assert sum(line.count("“two”") for line in lines) == 2
    assert any("forked from" in line for line in lines)
    assert [line for line in lines if "“three”" in line]


def test_streams_that_are_the_same_or_have_nothing_in_common_are_said_to_be() -> None:
    one, other = recorded(SOURCE, said(1, "one")), recorded(FORK, said(2, "two"))
    assert told(one, other, 120)[0] == "They have nothing in common."
    assert told(one, one, 120)[0] == "The same up to version 1, and there they are the same."
