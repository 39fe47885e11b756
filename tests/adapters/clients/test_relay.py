"""The relay between an agent's session and ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from adapters.clients.relay import NotAToolCall, ToolRelay, is_tool_call


def asked(id: str = "t1") -> str:
    call = {"tool_name": "create_label", "tool_call_id": id, "parameters": {"weight": 5}}
    return json.dumps({"type": "client_tool_call", "client_tool_call": call, "event_id": 9})


def ours(id: str = "t1", result: Any = None, *, is_error: bool = False) -> str:
    more = {"timestamp": 1, "requestId": "r", "user": "ann", "session_id": "s"}
    frame = {"type": "client_tool_result", "tool_call_id": id, "result": result, "is_error": is_error, **more}
    return json.dumps(frame)


class Wire:
    def __init__(self) -> None:
        self.sent: list[str] = []

    async def send(self, frame: str) -> None:
        await trio.lowlevel.checkpoint()
        self.sent.append(frame)


async def relayed(relay: ToolRelay, heard: list[str], *frames: str) -> list[Any]:
    """What the calls in `frames`, made at once, are answered when `heard` has come."""
    answers: list[Any] = [None] * len(frames)

    async def call(n: int, frame: str) -> None:
        answers[n] = json.loads(await relay.call(frame))

    async with trio.open_nursery() as nursery:
        for n, frame in enumerate(frames):
            nursery.start_soon(call, n, frame)
        await wait_all_tasks_blocked()
        for frame in heard:
            relay.heard(frame)
    return answers


async def test_a_call_goes_out_as_it_is_and_its_result_comes_back_flat() -> None:
    wire = Wire()
    (answer,) = await relayed(ToolRelay(wire.send), [ours(result={"tracking_number": "1Z5"})], asked())
    assert wire.sent == [asked()]
    assert answer == {
        "type": "client_tool_result",
        "tool_call_id": "t1",
        "result": '{"tracking_number":"1Z5"}',
        "is_error": False,
    }


async def test_of_an_error_the_agent_is_told_what_went_wrong() -> None:
    failed = ours(result={"error": "timeout calling rates endpoint", "original_request": {}}, is_error=True)
    (answer,) = await relayed(ToolRelay(Wire().send), [failed], asked())
    assert (answer["result"], answer["is_error"]) == ("timeout calling rates endpoint", True)


async def test_results_find_their_calls_in_whatever_order_they_come() -> None:
    heard = [ours("t2", [2]), "no json", "[]", '{"type": "contextual_update"}', ours("t3", [3]), ours("t1", "one")]
    answers = await relayed(ToolRelay(Wire().send), heard, asked("t1"), asked("t2"))
    assert [answer["result"] for answer in answers] == ["one", "[2]"]


async def test_the_same_call_twice_at_once_is_sent_once_and_answered_twice() -> None:
    wire = Wire()
    answers = await relayed(ToolRelay(wire.send), [ours(result="x")], asked(), asked())
    assert [answer["result"] for answer in answers] == ["x", "x"]
    assert len(wire.sent) == 1


async def test_who_gets_no_result_in_time_is_told_so(autojump_clock: MockClock) -> None:
    answer = json.loads(await ToolRelay(Wire().send, timeout=3).call(asked()))
    assert (answer["result"], answer["is_error"]) == ("no result within 3 s", True)
    assert autojump_clock.current_time() == pytest.approx(3.0)


async def test_after_a_reconnect_what_is_waited_for_is_asked_again_on_the_new_socket() -> None:
    first, second, relay = Wire(), Wire(), None
    relay = ToolRelay(first.send)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(relay.call, asked("t1"))
        nursery.start_soon(relay.call, asked("t2"))
        await wait_all_tasks_blocked()
        relay.heard(ours("t1", "done"))
        await relay.resend(second.send)
        assert second.sent == [asked("t2")]
        assert relay.heard(ours("t2", "done"))
    assert not relay.heard(ours("t2", "done"))


@pytest.mark.parametrize("frame", ["no json", "[]", "{}", '{"type": "ping"}', '{"type": "client_tool_call"}'])
async def test_what_is_no_tool_call_is_not_relayed(frame: str) -> None:
    assert not is_tool_call(frame)
    with pytest.raises(NotAToolCall):
        await ToolRelay(Wire().send).call(frame)


def test_a_tool_call_is_known() -> None:
    assert is_tool_call(asked())
