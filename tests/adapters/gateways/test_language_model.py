from __future__ import annotations

import gc
import socket
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import trio

from adapters.gateways.language_model import OpenAIModel
from core.ports import ModelFailure, Piece, Prompt, ToolCall, ToolSpec, Turn
from tests.adapters.gateways.model_server import (
    DONE,
    FOREVER,
    STREAM,
    ModelServer,
    call_part,
    chunk,
    piece,
    refusal,
    serving,
)

PROMPT = Prompt("playful", "the sea", "daily", (Turn("user", "Hi"), Turn("assistant", "Hello!"), Turn("user", "Go on")))
WHOLE = (STREAM, piece(""), piece("Hel"), piece("lo"), piece(None, "stop"), DONE)
KEY = "sk-secret"


def model_at(server: ModelServer, **settings: Any) -> OpenAIModel:
    brief = {"backoff": 0.001, "first_piece_timeout": 5.0, "piece_timeout": 5.0}
    return OpenAIModel(KEY, server.url, "tiny", **(brief | settings))


async def answer_of(model: OpenAIModel, prompt: Prompt = PROMPT) -> list[Piece]:
    async with model.draft(prompt) as pieces:
        return [text async for text in pieces]


def failing(reason: str) -> pytest.RaisesExc[ModelFailure]:
    return pytest.raises(ModelFailure, match=reason)


@pytest.fixture(autouse=True)
def nothing_is_left_to_the_garbage_collector() -> Any:
    yield
    gc.collect()


async def test_the_pieces_come_as_they_were_streamed() -> None:
    async with serving(WHOLE) as server:
        assert await answer_of(model_at(server)) == ["Hel", "lo"]


async def test_a_piece_is_given_before_the_next_one_was_sent() -> None:
    async with serving((STREAM, piece("first"), FOREVER)) as server, model_at(server).draft(PROMPT) as pieces:
        assert await anext(pieces) == "first"


async def test_the_request_is_a_streamed_completion_with_the_turns_behind_a_system_prompt() -> None:
    async with serving(WHOLE) as server:
        await answer_of(model_at(server))
        [body], [request] = server.bodies, server.requests
    assert request.startswith(b"POST /v1/chat/completions ")
    assert b"authorization: bearer sk-secret" in request.lower()
    assert (body["model"], body["stream"]) == ("tiny", True)
    messages: Any = body["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert messages[-1]["content"] == "Go on"
    assert "the sea" in messages[0]["content"]


def test_the_model_s_name_says_whose_it_is() -> None:
    assert OpenAIModel(KEY, model="gpt-4o-mini").name == "openai/gpt-4o-mini"


async def test_an_answer_that_is_whole_needs_no_end_of_the_connection() -> None:
    async with serving((*WHOLE, FOREVER)) as server:
        assert await answer_of(model_at(server)) == ["Hel", "lo"]


async def test_a_server_that_sends_no_end_mark_has_answered_when_it_gave_its_finish_reason() -> None:
    async with serving(WHOLE[:-1]) as server:
        assert await answer_of(model_at(server)) == ["Hel", "lo"]


async def test_an_answer_without_text_is_no_failure_of_the_gateway() -> None:
    async with serving((STREAM, piece(None, "stop"), DONE)) as server:
        assert await answer_of(model_at(server)) == []


async def test_a_stall_before_the_headers_is_bounded() -> None:
    async with serving((FOREVER,)) as server:
        with failing(r"said nothing for 0\.05 s"):
            await answer_of(model_at(server, first_piece_timeout=0.05))
        assert len(server.requests) == 1


async def test_a_stall_before_the_first_piece_is_bounded() -> None:
    async with serving((STREAM, b": still thinking\n\n", FOREVER)) as server:
        with failing(r"said nothing for 0\.1 s"):
            await answer_of(model_at(server, first_piece_timeout=0.1))


async def test_a_stall_between_pieces_is_bounded() -> None:
    async with (
        serving((STREAM, piece("Hel"), FOREVER)) as server,
        model_at(server, piece_timeout=0.05).draft(PROMPT) as it,
    ):
        assert await anext(it) == "Hel"
        with failing(r"stopped for 0\.05 s mid-answer"):
            await anext(it)


async def test_comments_do_not_count_as_progress_between_pieces() -> None:
    chatter = [move for _ in range(40) for move in (0.01, b": ping\n\n")]
    async with serving((STREAM, piece("Hel"), *chatter)) as server:
        with failing("mid-answer"):
            await answer_of(model_at(server, piece_timeout=0.05))


async def test_a_stream_that_ends_too_soon_is_cut_off_and_not_asked_for_again() -> None:
    async with serving((STREAM, piece("Hel")), WHOLE) as server:
        with failing("cut off"):
            await answer_of(model_at(server))
        assert len(server.requests) == 1


PROMISING = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 5000\r\n\r\n"


async def test_a_body_shorter_than_it_promised_is_whole_once_the_model_has_ended() -> None:
    async with serving((PROMISING, *WHOLE[1:-1])) as server:
        assert await answer_of(model_at(server)) == ["Hel", "lo"]


async def test_a_body_shorter_than_it_promised_is_cut_off() -> None:
    async with serving((PROMISING, piece("Hel"))) as server:
        with failing("cut off"):
            await answer_of(model_at(server))


async def test_a_stream_cut_off_before_its_first_piece_is_asked_for_again() -> None:
    async with serving((STREAM, piece("")), WHOLE) as server:
        assert await answer_of(model_at(server)) == ["Hel", "lo"]
        assert len(server.requests) == 2


async def test_a_connection_closed_without_an_answer_is_tried_again() -> None:
    async with serving((), WHOLE) as server:
        assert await answer_of(model_at(server)) == ["Hel", "lo"]


async def test_a_refused_api_key_is_said_once_and_never_repeated_in_the_reason() -> None:
    body = b'{"error":{"message":"Incorrect API key provided: sk-secret"}}'
    async with serving((refusal("401 Unauthorized", body=body),)) as server:
        with failing(r"refused the API key \(401\)") as caught:
            await answer_of(model_at(server))
        assert len(server.requests) == 1
    assert KEY not in caught.value.reason


async def test_the_api_key_is_struck_from_what_the_server_says() -> None:
    body = b'{"error":{"message":"bad header Bearer sk-secret"}}'
    async with serving((refusal("400 Bad Request", body=body),)) as server:
        with failing(r"refused the request \(400\)") as caught:
            await answer_of(model_at(server))
    assert KEY not in caught.value.reason


async def test_an_unknown_model_is_named() -> None:
    async with serving((refusal("404 Not Found"),)) as server:
        with failing(r"'tiny' does not exist there \(404\)"):
            await answer_of(model_at(server))


async def test_a_rate_limit_is_waited_out_as_long_as_the_server_says() -> None:
    async with serving((refusal("429 Too Many Requests", "retry-after: 0.2"),), WHOLE) as server:
        began = trio.current_time()
        assert await answer_of(model_at(server)) == ["Hel", "lo"]
        assert trio.current_time() - began >= 0.2


async def test_a_rate_limit_longer_than_we_wait_is_reported_at_once() -> None:
    async with serving((refusal("429 Too Many Requests", "retry-after: 60"),)) as server:
        with failing("too often") as caught:
            await answer_of(model_at(server))
        assert len(server.requests) == 1
    assert caught.value.retry_after == 60.0


async def test_a_used_up_quota_is_not_tried_again() -> None:
    body = b'{"error":{"message":"You exceeded your quota","code":"insufficient_quota"}}'
    async with serving((refusal("429 Too Many Requests", body=body),)) as server:
        with failing("quota is used up"):
            await answer_of(model_at(server))
        assert len(server.requests) == 1


async def test_a_server_error_is_tried_again() -> None:
    async with serving((refusal("500 Internal Server Error"),), (refusal("503 Busy"),), WHOLE) as server:
        assert await answer_of(model_at(server)) == ["Hel", "lo"]
        assert len(server.requests) == 3


async def test_a_server_that_keeps_failing_is_given_up_after_the_last_attempt() -> None:
    async with serving((refusal("500 Internal Server Error"),)) as server:
        with failing(r"server failed \(500\)"):
            await answer_of(model_at(server, attempts=2))
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    "moves, reason",
    [
        ((refusal("200 OK", body=b"<html>Welcome to the router</html>"),), "no event stream"),
        ((STREAM, b"data: <html>\n\n"), "makes no sense"),
        ((STREAM, b'data: {"choices": 7}\n\n'), "makes no sense"),
        ((STREAM, b"data: \xff\xfe\n\n"), "makes no sense"),
        ((STREAM, piece("Hel"), b'data: {"error":{"message":"overloaded"}}\n\n'), "gave up: overloaded"),
        ((STREAM, piece("Hel"), piece(None, "content_filter"), DONE), "content filter"),
        ((b"\x00\x01 not HTTP at all\r\n\r\n",), "cannot be reached"),
    ],
)
async def test_a_nonsense_answer_is_a_failure_with_its_reason(moves: tuple[bytes, ...], reason: str) -> None:
    async with serving(moves) as server:
        with failing(reason):
            await answer_of(model_at(server))


async def test_a_refused_connection_is_tried_again_and_then_reported() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        model = OpenAIModel(KEY, f"http://127.0.0.1:{taken.getsockname()[1]}/v1", backoff=0.001)
        with failing("cannot be reached"):
            await answer_of(model)


async def leave_after_the_first_piece(drafting: AbstractAsyncContextManager[Any]) -> None:
    async with drafting as pieces:
        await anext(pieces)


async def test_leaving_in_the_middle_closes_the_connection() -> None:
    async with serving((STREAM, piece("a") + piece("b"), piece("c"), FOREVER)) as server:
        await leave_after_the_first_piece(model_at(server).draft(PROMPT))
        with trio.fail_after(1):
            await server.was_left.wait()
        assert server.open_connections == 0


@pytest.mark.parametrize("moves", [(FOREVER,), (STREAM, FOREVER), (STREAM, piece("a"), FOREVER)])
async def test_cancelled_while_it_waits_it_closes_the_connection(moves: tuple[bytes | float, ...]) -> None:
    async with serving(moves) as server:
        with trio.move_on_after(0.1) as scope:
            await answer_of(model_at(server))
        assert scope.cancelled_caught
        with trio.fail_after(1):
            await server.was_left.wait()
        assert server.open_connections == 0


# --- tools ------------------------------------------------------------------------------------------------------

WEATHER = ToolSpec("get_weather", "The weather somewhere now.", {"type": "object", "required": ["location"]})
ASKING = Prompt("playful", None, "daily", (Turn("user", "Weather in Oslo?"),), (WEATHER,))
OSLO = ToolCall("c1", "get_weather", '{"location": "Oslo"}')
CALL = (call_part(0, '{"location":', id="c1", name="get_weather"), call_part(0, ' "Oslo"}'))


async def test_a_tool_call_comes_whole_when_the_model_has_finished_it() -> None:
    async with serving((STREAM, *CALL, chunk({}, "tool_calls"), DONE)) as server:
        assert await answer_of(model_at(server), ASKING) == [OSLO]
        [body] = server.bodies
    offered = {"name": "get_weather", "description": WEATHER.description, "parameters": WEATHER.schema}
    assert body["tools"] == [{"type": "function", "function": offered}]


async def test_without_tools_none_are_named() -> None:
    async with serving(WHOLE) as server:
        await answer_of(model_at(server))
        assert "tools" not in server.bodies[0]


async def test_the_results_of_tools_go_back_behind_the_calls() -> None:
    turns = (*ASKING.turns, Turn("assistant", "", (OSLO,)), Turn("tool", '{"temperature": 3}', tool_call_id="c1"))
    async with serving(WHOLE) as server:
        assert await answer_of(model_at(server), Prompt("playful", None, "daily", turns, (WEATHER,))) == ["Hel", "lo"]
        messages: Any = server.bodies[0]["messages"]
    function = {"name": "get_weather", "arguments": '{"location": "Oslo"}'}
    assert messages[-2:] == [
        {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function", "function": function}]},
        {"role": "tool", "content": '{"temperature": 3}', "tool_call_id": "c1"},
    ]


async def test_a_stall_in_the_middle_of_a_tool_call_is_bounded() -> None:
    async with serving((STREAM, piece("Well."), CALL[0], FOREVER)) as server:
        with failing(r"stopped for 0\.05 s mid-answer"):
            await answer_of(model_at(server, piece_timeout=0.05), ASKING)


async def test_a_tool_call_cut_off_in_its_middle_is_asked_for_again() -> None:
    async with serving((STREAM, CALL[0]), (STREAM, *CALL, DONE)) as server:
        assert await answer_of(model_at(server), ASKING) == [OSLO]
        assert len(server.requests) == 2


async def test_a_tool_call_cut_off_behind_words_is_a_failure() -> None:
    async with serving((STREAM, piece("Well."), CALL[0])) as server:
        with failing("cut off"):
            await answer_of(model_at(server), ASKING)


@pytest.mark.parametrize("status", ["429 Too Many Requests", "500 Internal Server Error"])
async def test_a_model_that_was_busy_calls_its_tool_at_the_next_try(status: str) -> None:
    async with serving((refusal(status),), (STREAM, *CALL, DONE)) as server:
        assert await answer_of(model_at(server), ASKING) == [OSLO]


async def test_a_tool_call_that_makes_no_sense_is_a_failure() -> None:
    async with serving((STREAM, chunk({"tool_calls": {"index": 0}}))) as server:
        with failing("makes no sense"):
            await answer_of(model_at(server), ASKING)
