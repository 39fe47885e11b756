"""What a console asks while something else waits, for the record or for the log, has its own answer."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.protocols.console.connection import MAX_WAITING, MAX_WATCHED
from tests.adapters.protocols.console_shell import ENDS, HEAD, Shell

of_a_stream = st.fixed_dictionaries({"stream": st.sampled_from(["call-a", "call-b"])})
requests = (
    st.sampled_from([{"type": "board"}, {"type": "unboard"}])
    | st.builds(lambda of, at: {"type": "state", "at": at, **of}, of_a_stream, st.sampled_from([1, 2, 7, 9, 10]))
    | st.builds(lambda of, at: {"type": "page", "after": at, "until": 6, **of}, of_a_stream, st.sampled_from([1, 5]))
    | st.builds(lambda of, at: {"type": "watch", "after": at, **of}, of_a_stream, st.sampled_from([None, HEAD - 9]))
    | st.builds(lambda of: {"type": "unwatch", **of}, of_a_stream)
)
times = st.sampled_from(["settle", "go on"])
"""What may come between two requests."""


@given(st.lists(requests | times, max_size=12))
@settings(max_examples=300)
def test_every_request_has_its_own_answer_whatever_waits_for_the_log_meanwhile(steps: list[Any]) -> None:
    shell, sent = Shell(takes_time=True), dict[str, Any]()
    for number, step in enumerate(steps):
        if step == "settle" and shell.told:
            shell.settle()
        elif step == "go on":
            shell.go_on()
        elif isinstance(step, dict):
            sent[str(number)] = step
            shell.send(id=str(number), **step)
    shell.end()
    answers = [answer for answer in shell.written if answer["type"] not in ("hello", "page", "record")]
    assert sorted(answer["id"] for answer in answers) == sorted(sent)
    for answer in answers:
        assert _is_of(answer, sent[answer["id"]])
    assert _pages(shell.written) == {id: _versions(one) for id, one in sent.items() if one["type"] == "page"}


def _is_of(answer: dict[str, Any], request: dict[str, Any]) -> bool:
    match answer["type"]:
        case "state":
            told = answer["stream"], answer["at"], answer["state"]["interim"]
            return bool(told == (request["stream"], request["at"], str(request["at"])))
        case "error" if answer["code"] == "not_found":
            return bool(request["at"] > ENDS)
        case "error":
            return answer["code"] == "cancelled" and request["type"] in ("watch", "board")
        case "tuned" | "untuned" as done:
            is_same = answer["topic"] == request.get("stream", "board")
            return is_same and request["type"] in (("watch", "board") if done == "tuned" else ("unwatch", "unboard"))
        case kind:
            return bool(kind == "page_end" and request["type"] == "page")


def _pages(written: list[dict[str, Any]]) -> dict[str, list[tuple[str, int]]]:
    """The records between each page's first and last frame."""
    pages, id = dict[str, list[tuple[str, int]]](), None
    for frame in written:
        if frame["type"] == "page":
            pages[id := frame["id"]] = []
        elif frame["type"] == "page_end":
            assert id == frame["id"]
            id = None
        elif frame["type"] == "record":
            assert id is not None
            pages[id].append((frame["stream"], frame["version"]))
    return pages


def _versions(page: dict[str, Any]) -> list[tuple[str, int]]:
    return [(page["stream"], version) for version in range(page["after"] + 1, min(page["until"], ENDS) + 1)]


@pytest.mark.parametrize(("asked", "given_up"), [("watch", "unwatch"), ("board", "unboard")])
@pytest.mark.parametrize("is_resuming", [False, True])
def test_what_is_given_up_before_it_is_on_record_is_answered_and_never_told(
    asked: str, given_up: str, is_resuming: bool
) -> None:
    of = {"stream": "call-x"} if asked == "watch" else {}
    shell = Shell()
    shell.send(type=asked, id="1", **of, **({"after": HEAD - 1} if is_resuming and of else {}))
    answers = shell.send(type=given_up, id="2", **of)
    assert [(one["type"], one["id"], one.get("code")) for one in answers] == [
        ("error", "1", "cancelled"), ("untuned", "2", None),
    ]  # fmt: skip
    assert shell.settle() == []
    assert (shell.tuned, shell.hears) == ([], set())
    assert [one["type"] for one in shell.send(type=asked, id="3", **of)] == ["tuned"], "it is on record"


def test_a_watch_that_waits_for_its_turn_behind_a_page_can_be_given_up_too() -> None:
    shell = Shell(takes_time=True)
    shell.send(type="page", id="1", stream="call-b", after=0, until=5)
    shell.settle()
    shell.send(type="watch", id="2", stream="call-x")
    shell.send(type="unwatch", id="3", stream="call-x")
    shell.end()
    assert [(one["type"], one["id"]) for one in shell.written[-3:]] == [
        ("page_end", "1"), ("error", "2"), ("untuned", "3"),
    ]  # fmt: skip
    assert (shell.told, shell.hears) == (deque(), set())


def test_any_number_of_streams_may_be_watched_and_given_up_before_it_is_on_record() -> None:
    shell = Shell()
    for n in range(MAX_WAITING + MAX_WATCHED):
        shell.send(type="watch", id="1", stream=f"call-{n}")
        shell.send(type="unwatch", id="2", stream=f"call-{n}")
    while shell.told:
        shell.settle()
    shell.send(type="watch", id="3", stream="call-new")
    assert [frame["type"] for frame in shell.settle()] == ["tuned"]
