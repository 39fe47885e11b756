from __future__ import annotations

import pytest

from adapters.gateways.chat_stream import MAX_TOOL_CALLS, MAX_UNREAD, ChatReader, CutOff
from core.ports import ModelFailure, ToolCall
from tests.adapters.gateways.model_server import DONE, call_part, chunk, piece

WHOLE = piece("Grüß") + piece(" dich") + piece(None, "stop") + DONE


@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
def test_the_pieces_do_not_depend_on_how_the_bytes_were_cut(size: int) -> None:
    reader = ChatReader()
    cuts = [WHOLE[at : at + size] for at in range(0, len(WHOLE), size)]
    assert [text for cut in cuts for text in reader.feed(cut)] == ["Grüß", " dich"]
    assert reader.is_done


def test_lines_may_end_as_on_windows() -> None:
    assert ChatReader().feed(WHOLE.replace(b"\n", b"\r\n")) == ["Grüß", " dich"]


def test_a_line_separator_inside_the_text_is_text() -> None:
    assert ChatReader().feed(piece("one\u2028two\x85three")) == ["one\u2028two\x85three"]


def test_an_event_may_have_several_data_lines() -> None:
    assert ChatReader().feed(b'data: {"choices":\ndata: [{"delta":{"content":"Hi"}}]}\n\n') == ["Hi"]


def test_other_fields_comments_and_chunks_without_choices_are_passed_over() -> None:
    stream = b': ping\n\nevent: x\nid: 7\n\ndata: {"choices":[],"usage":{"total_tokens":3}}\n\n' + piece("Hi")
    assert ChatReader().feed(stream) == ["Hi"]


def test_a_refusal_to_answer_is_the_answer() -> None:
    assert ChatReader().feed(b'data: {"choices":[{"delta":{"refusal":"I cannot."}}]}\n\n') == ["I cannot."]


def test_what_comes_after_the_end_mark_counts_nothing() -> None:
    assert ChatReader().feed(DONE + piece("late")) == []


def test_the_last_event_needs_no_empty_line() -> None:
    reader = ChatReader()
    reader.feed(piece("Hi"))
    reader.feed(b"data: [DONE]")
    assert not reader.is_done
    assert reader.end() == []
    assert reader.is_done


def test_an_end_without_a_finish_reason_is_a_cut() -> None:
    reader = ChatReader()
    reader.feed(piece("Hi"))
    with pytest.raises(CutOff):
        reader.end()


def test_a_line_without_end_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(ModelFailure, match="lines without end"):
        ChatReader().feed(b"data: " + b"x" * MAX_UNREAD)


def test_an_event_of_lines_without_end_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(ModelFailure, match="lines without end"):
        ChatReader().feed(b"data: xxxxxxxxxx\n" * (MAX_UNREAD // 10 + 1))


# --- tool calls -------------------------------------------------------------------------------------------------

CALLED = (
    piece("Let me see. ") + call_part(0, id="c1", name="get_weather") + call_part(0, '{"location":')
    + call_part(0, ' "Oslo"}') + call_part(1, '{"location": "Rome"}', id="c2", name="get_weather")
    + chunk({}, "tool_calls") + DONE
)  # fmt: skip
OSLO = ToolCall("c1", "get_weather", '{"location": "Oslo"}')
ROME = ToolCall("c2", "get_weather", '{"location": "Rome"}')


@pytest.mark.parametrize("size", [1, 2, 7, 10_000])
def test_tool_calls_come_whole_behind_the_words_however_they_were_cut(size: int) -> None:
    reader = ChatReader()
    cuts = [CALLED[at : at + size] for at in range(0, len(CALLED), size)]
    assert [piece for cut in cuts for piece in reader.feed(cut)] == ["Let me see. ", OSLO, ROME]


def test_parts_of_two_calls_may_be_mixed_and_come_in_the_order_of_their_numbers() -> None:
    mixed = (
        call_part(1, id="c2", name="get_weather") + call_part(0, '{"location":', id="c1", name="get_weather")
        + call_part(1, '{"location": "Rome"}') + call_part(0, ' "Oslo"}') + chunk({}, "tool_calls")
    )  # fmt: skip
    assert ChatReader().feed(mixed) == [OSLO, ROME]


def test_calls_are_not_given_before_the_model_has_finished_them() -> None:
    unfinished = CALLED.removesuffix(chunk({}, "tool_calls") + DONE)
    assert ChatReader().feed(unfinished) == ["Let me see. "]


def test_calls_are_finished_by_the_end_mark_too_and_given_once() -> None:
    reader = ChatReader()
    assert reader.feed(call_part(0, "{}", id="c1", name="now") + DONE) == [ToolCall("c1", "now", "{}")]
    assert reader.end() == []


def test_a_call_without_arguments_has_none_and_one_without_an_id_gets_one() -> None:
    assert ChatReader().feed(call_part(0, name="now") + chunk({}, "stop")) == [ToolCall("call_0", "now", "{}")]


@pytest.mark.parametrize(
    "stream, reason",
    [
        (call_part(0, "{}", id="c1") + DONE, "without saying which"),
        (call_part(0, '{"loc', id="c1", name="x") + chunk({}, "length"), "in the middle of a tool call"),
        (b"".join(call_part(n, name="x") for n in range(MAX_TOOL_CALLS + 1)), "at once"),
        (b"".join(call_part(0, "x" * 100_000, name="x") for _ in range(11)), "without end"),
        (chunk({"tool_calls": 7}), "makes no sense"),
    ],
)
def test_calls_nobody_could_run_are_failures(stream: bytes, reason: str) -> None:
    with pytest.raises(ModelFailure, match=reason):
        ChatReader().feed(stream)


def test_a_stream_that_ends_in_the_middle_of_a_call_is_cut_off() -> None:
    reader = ChatReader()
    assert reader.feed(call_part(0, '{"loc', id="c1", name="get_weather")) == []
    with pytest.raises(CutOff):
        reader.end()
