"""Asking the assistant from Python and from a shell, of a server that runs as it is put together."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from adapters import bootstrap, cli
from adapters.cli_ask import Page
from adapters.clients.asking import NotAnswered, ask
from adapters.config import from_environment
from tests.adapters.clients.test_channels import ScriptedServer, plain

PATIENCE = 10.0
QUESTION = "What is the weather in Paris?"
Typed = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
async def server(nursery: trio.Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Its URL."""
    monkeypatch.setattr(bootstrap, "settle_interpreter", lambda: None)  # a setting of the whole process
    env = {"CALLBOARD_BIND": "127.0.0.1:0", "CALLBOARD_STORE": f"sqlite:///{tmp_path}/c.db"}
    [url] = await nursery.start(partial(bootstrap.serve, from_environment(env, {}), trio.Event()))
    return str(url)


def channels_of(url: str) -> str:
    return url.replace("http", "ws") + "/ws/channels"


async def test_python_asks_and_hears_what_is_done_up_to_the_answer(server: str) -> None:
    heard: list[dict[str, Any]] = []
    answer = await ask(channels_of(server), "weather-update", QUESTION, patience=PATIENCE, hear=heard.append)
    assert answer.startswith("The weather in Paris now: ")
    assert [update.get("status") for update in heard[:2]] == ["started", "tool_executed"]
    assert heard[0]["message"] == "Executing weather check for Paris"
    assert (heard[-1]["status"], heard[-1]["message"]) == ("completed", answer)
    assert len({update["thread_id"] for update in heard}) == 1
    pieces = [update["message"] for update in heard[2:-1]]
    assert pieces
    assert all(answer.startswith(piece) for piece in pieces)


async def test_python_goes_on_in_a_thread_and_others_on_the_channel_are_not_taken_for_it(server: str) -> None:
    answers: dict[str, str] = {}

    async def ask_in(thread: str, place: str) -> None:
        question = f"What is the weather in {place}?"
        heard: list[dict[str, Any]] = []
        terms: dict[str, Any] = {"thread_id": thread, "patience": PATIENCE, "hear": heard.append}
        answers[place] = await ask(channels_of(server), "weather-update", question, **terms)
        assert {update["thread_id"] for update in heard} == {thread}

    async with trio.open_nursery() as asking:
        asking.start_soon(ask_in, "t1", "Oslo")
        asking.start_soon(ask_in, "t2", "Rome")
    await ask_in("t1", "Makati")
    assert all(answer.startswith(f"The weather in {place} now: ") for place, answer in answers.items())


async def test_a_question_the_server_does_not_take_is_told_at_once(server: str) -> None:
    with trio.fail_after(PATIENCE), pytest.raises(NotAnswered, match=r"thread_id"):
        await ask(channels_of(server), "weather-update", QUESTION, thread_id="no such name", patience=600)


async def test_who_gets_no_answer_in_time_is_told_so(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    elsewhere = ScriptedServer((plain,), nursery)
    with trio.fail_after(40), pytest.raises(NotAnswered, match="no answer within 30 s"):
        await ask("ws://elsewhere.test", "theirs", QUESTION, patience=30, dial=elsewhere.dial)
    [asked] = [frame for frame in elsewhere.visits[0].got if frame["type"] == "ask"]
    assert asked["payload"]["message"] == QUESTION
    assert asked["payload"]["channel"] == "theirs"


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """`callboard ask` as typed, in a thread beside the server: exit code, stdout, stderr."""

    def main() -> int:
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0)

    async def typed(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["callboard", "ask", *arguments])
        capsys.readouterr()
        with trio.fail_after(PATIENCE):
            code = await trio.to_thread.run_sync(main)
        return code, *capsys.readouterr()

    return typed


async def test_the_command_prints_what_is_done_and_the_answer_once(server: str, typed: Typed) -> None:
    code, out, _ = await typed("--channel", "weather-update", "--server", server, QUESTION)
    started, executed, answer = [line for line in out.splitlines() if "[" not in line[:30]]
    assert code == 0
    assert started == "· Executing weather check for Paris"
    assert '"location"' in executed
    assert answer.startswith("The weather in Paris now: ")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [(("--channel", "error"), "does not let us in"), (("--thread", "a b"), "no answer: `payload.thread_id`")],
)
async def test_the_command_that_fails_says_why_in_one_line(
    server: str, typed: Typed, arguments: tuple[str, ...], reason: str
) -> None:
    code, _, err = await typed("--server", server, QUESTION, *arguments)
    assert code == 1
    assert len(err.splitlines()) == 1
    assert reason in err


@pytest.mark.parametrize(
    ("server", "reason"), [("http://127.0.0.1:9", "no Callboard answers at"), ("nowhere", "is no server")]
)
async def test_without_a_server_it_is_one_line(server: str, reason: str, typed: Typed) -> None:
    code, out, err = await typed(QUESTION, "--server", server, "--within", "0.3")
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert reason in err


def test_an_answer_that_begins_anew_begins_a_line_and_nothing_a_terminal_obeys_is_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = Page()
    for message, status in (("Well", None), ("Well, it", None), ("It is", None), ("It is \x1b[2J hot", "completed")):
        page.show({"type": "response", "message": message, "status": status})
    page.show({"type": "response", "message": "Half"})
    page.finish()
    assert capsys.readouterr().out == "Well, it\nIt is �[2J hot\nHalf\n"
