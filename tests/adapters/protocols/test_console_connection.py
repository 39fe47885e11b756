"""Whatever a console sends: one answer, and nothing is told before it is on record that somebody looks."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.auditing import stream_at
from adapters.protocols.console.connection import MAX_BEHIND, MAX_NOTED, MAX_WAITING, MAX_WATCHED
from core.audit import NoteAccess
from core.identifiers import Category, StreamName
from core.messages import Busy
from tests.adapters.protocols.console_shell import HEAD, NOW, Shell

ids = st.sampled_from(["1", "2"])
streams = st.sampled_from(["conversation-a", "session-b", "audit-2025-01-03", "nonsense", ""])
numbers = st.sampled_from([0, 1, 7, 8, 500, 501, 600, HEAD, 2**53 - 1, 2**53, -1, None, "1"])
asked = st.fixed_dictionaries(
    {"type": st.sampled_from(["board", "unboard", "watch", "unwatch", "page", "state", "x"]), "id": ids},
    optional={"stream": streams, "after": numbers, "until": numbers, "at": numbers},
)


def test_who_comes_is_told_who_it_is() -> None:
    (hello,) = Shell().written
    assert hello == {
        "type": "hello", "epoch": "e", "principal": "ada", "roles": ["auditor"], "connection_id": "a.1",
    }  # fmt: skip


@given(st.lists(st.text() | st.binary() | asked.map(json.dumps), max_size=8), st.booleans())
@settings(max_examples=200)
def test_every_frame_is_answered_once_and_nothing_is_told_before_it_is_on_record(
    sent: list[str | bytes], is_settled_late: bool
) -> None:
    shell, noted = Shell(), set[str]()
    shell.written.clear()
    for frame in sent:
        answers = shell.text(frame)
        assert all(answer["type"] in ("error", "untuned") or _of(answer, shell) <= noted for answer in answers)
        while shell.told and not is_settled_late:
            noted |= {str(value) for value in shell.told[0].command.question.values()}
            shell.settle()
    while shell.told:
        shell.settle()
    answers = [one for one in shell.written if one["type"] != "page"]
    assert len(answers) == len(sent)


def _of(answer: dict[str, Any], shell: Shell) -> set[str]:
    topic = answer.get("topic", answer.get("stream"))
    return set() if topic is None else {"True" if topic == "board" else topic}


def test_a_look_is_put_on_record_once_for_each_stream_where_all_others_are() -> None:
    shell = Shell()
    assert shell.send(type="state", id="1", stream="call-x", at=1) == []
    assert shell.send(type="page", id="2", stream="call-x", after=0, until=1) == []
    (told,) = shell.told
    assert told.stream == stream_at(NOW)
    assert told.command == NoteAccess("console", {"stream": "call-x"}, 0, HEAD)
    assert type(told.command.question["stream"]) is str, "which alone can be stored"
    assert [frame["type"] for frame in shell.settle()] == ["state", "page", "page_end"]
    assert [frame["type"] for frame in shell.send(type="watch", id="3", stream="call-x")] == ["tuned"]
    assert shell.send(type="board", id="4") == []
    assert [tell.command.question for tell in shell.told] == [{"board": True}]


def test_what_could_not_be_put_on_record_is_asked_for_again() -> None:
    shell = Shell()
    shell.send(type="board", id="1")
    assert [(frame["code"], frame["retry_after"]) for frame in shell.settle(Busy(3.0))] == [("busy", 3.0)]
    shell.send(type="board", id="2")
    assert [frame["type"] for frame in shell.settle()] == ["tuned"]


def test_who_is_too_far_behind_is_sent_to_the_pages_and_nothing_is_read() -> None:
    shell = Shell()
    behind = {"type": "watch", "id": "1", "stream": "call-x"}
    for _ in ("before it is on record", "and after"):
        (answer,) = shell.send(**behind, after=HEAD - MAX_BEHIND - 1)
        assert (answer["type"], answer["code"]) == ("error", "too_far_behind")
        assert shell.tuned == []
        shell.send(type="state", id="2", stream="call-x", at=0)
        while shell.told:
            shell.settle()
    assert shell.send(**behind, after=HEAD - MAX_BEHIND)[0]["position"] == HEAD - MAX_BEHIND
    assert shell.tuned == [("stream:call-x", HEAD - MAX_BEHIND)]


def test_only_so_many_streams_are_watched_at_one_time() -> None:
    shell = Shell()
    for n in range(MAX_WATCHED + 1):
        shell.send(type="watch", id=str(n), stream=f"call-{n}")
    answers = [frame for _ in range(MAX_WATCHED + 1) for frame in shell.settle()]
    assert [frame["type"] for frame in answers] == ["tuned"] * MAX_WATCHED + ["error"]
    assert answers[-1]["code"] == "too_many"
    assert shell.send(type="watch", id="again", stream="call-0")[0]["type"] == "tuned"
    shell.send(type="unwatch", id="x", stream="call-0")
    assert shell.send(type="watch", id="now", stream=f"call-{MAX_WATCHED}")[0]["type"] == "tuned"


def test_only_so_many_requests_wait() -> None:
    shell = Shell()
    for n in range(MAX_WAITING):
        assert shell.send(type="state", id=str(n), stream=f"call-{n % 3}", at=0) == []
    for stream in ("call-0", "call-new"):
        (answer,) = shell.send(type="state", id="x", stream=stream, at=0)
        assert answer["code"] == "too_many"
    assert sum(len(shell.settle()) for _ in range(3)) == MAX_WAITING


def test_a_connection_that_has_looked_at_very_much_is_put_on_record_again() -> None:
    shell = Shell()
    for n in range(MAX_NOTED + 1):
        shell.send(type="state", id="1", stream=f"call-{n}", at=0)
        shell.settle()
    assert shell.send(type="state", id="1", stream=f"call-{MAX_NOTED}", at=0) != []
    assert shell.send(type="state", id="1", stream="call-0", at=0) == []
    assert len(shell.told) == 1


def test_its_end_leaves_nothing_to_be_told() -> None:
    shell = Shell()
    shell.send(type="board", id="1")
    assert shell.connection.closed(NOW) == ()
    assert StreamName.parse(shell.told[0].stream).category is Category.AUDIT
