from __future__ import annotations

import math
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from actors.effects import Tell
from adapters.gateways.drafting import draft_reply
from adapters.gateways.offline_partner import ScriptedModel
from core.conversation import (
    MAX_TEXT,
    AddReplyPiece,
    BeginReply,
    CompleteReply,
    Conversation,
    DraftReply,
    EndConversation,
    FailReply,
    OpenConversation,
    Say,
    conversation,
)
from core.decider import Rejected
from core.identifiers import Category, StreamName
from core.messages import Accepted, Outcome, Recorded, Refused, Stamp
from core.ports import ModelFailure

STREAM = StreamName.of(Category.CONVERSATION, "c1")
STAMP = Stamp(correlation_id="t", time=0)


class Stage:
    """One conversation without a system: tells are decided and folded at once, or after `delay` seconds."""

    def __init__(self, clock: MockClock, delay: float = 0.0) -> None:
        self.clock = clock
        self.began = 0.0
        self.delay = delay
        self.state = Conversation()
        self.told: list[tuple[float, Any]] = []
        self.decide(OpenConversation())
        self.decide(Say("m1", "r1", "Hello"))

    def decide(self, command: Any) -> Outcome:
        events = conversation.decide(self.state, command)
        if isinstance(events, Rejected):
            return Refused(events)
        self.state = conversation.fold(self.state, events)
        records = tuple(Recorded(n, STREAM, n, event, STAMP) for n, event in enumerate(events, start=1))
        return Accepted(records, self.state, len(records))

    async def tell(self, command: Any) -> Outcome:
        self.told.append((round(self.clock.current_time() - self.began, 6), command))
        await trio.sleep(self.delay)
        return self.decide(command)

    async def perform(self, model: ScriptedModel, tell: Tell | None = None, **settings: Any) -> list[tuple[float, Any]]:
        self.began = self.clock.current_time()
        await draft_reply(model, **settings)(DraftReply("r1"), self.state, tell or self.tell)
        return self.told


def piece(text: str, attempt: int = 1) -> AddReplyPiece:
    return AddReplyPiece("r1", attempt, text)


def whole(text: str, attempt: int = 1) -> CompleteReply:
    return CompleteReply("r1", attempt, text)


BEGUN = (0.0, BeginReply("r1", "scripted"))


async def test_the_first_piece_is_told_at_once_and_the_end_without_waiting(autojump_clock: MockClock) -> None:
    told = await Stage(autojump_clock).perform(ScriptedModel([0.2, "Hel", 0.01, "lo"]))
    assert told == [BEGUN, (0.2, piece("Hel")), (0.21, whole("Hello"))]


async def test_what_comes_within_the_interval_is_told_together_at_its_end(autojump_clock: MockClock) -> None:
    told = await Stage(autojump_clock).perform(
        ScriptedModel(["a", 0.01, "b", 0.01, "c", 0.01, "d", 0.04, "e", 0.1, "f", 0.01])
    )
    assert told == [
        BEGUN,
        (0.0, piece("a")),
        (0.05, piece("bcd")),
        (0.1, piece("e")),
        (0.17, piece("f")),
        (0.18, whole("abcdef")),
    ]


async def test_what_comes_after_the_interval_is_told_at_once(autojump_clock: MockClock) -> None:
    told = await Stage(autojump_clock).perform(ScriptedModel(["a", 0.07, "b", 0.06, "c", 0.2]))
    assert told == [BEGUN, (0.0, piece("a")), (0.07, piece("b")), (0.13, piece("c")), (0.33, whole("abc"))]


async def test_the_interval_is_a_setting(autojump_clock: MockClock) -> None:
    told = await Stage(autojump_clock).perform(ScriptedModel(["a", 0.1, "b", 0.1, "c", 1.5]), delta_interval=1.0)
    assert told == [BEGUN, (0.0, piece("a")), (1.0, piece("bc")), (1.7, whole("abc"))]


async def test_a_slow_log_loses_no_piece_and_holds_up_no_model(autojump_clock: MockClock) -> None:
    told = await Stage(autojump_clock, delay=0.25).perform(ScriptedModel(["a", 0.1, "b", 0.1, "c", 0.35, "d", 0.5]))
    assert told == [BEGUN, (0.25, piece("a")), (0.5, piece("bc")), (0.8, piece("d")), (1.3, whole("abcd"))]


async def test_what_is_untold_at_the_end_comes_with_the_whole(autojump_clock: MockClock) -> None:
    told = await Stage(autojump_clock).perform(ScriptedModel(["a", 0.06, "b", 0.02, "c", 0.01]))
    assert told == [BEGUN, (0.0, piece("a")), (0.06, piece("b")), (0.09, whole("abc"))]


async def test_the_pieces_told_are_a_beginning_of_the_whole(autojump_clock: MockClock) -> None:
    script = [part for n in range(60) for part in (0.013, f"{n} ")]
    told = [command for _, command in await Stage(autojump_clock).perform(ScriptedModel(script))]
    told_text = "".join(command.text for command in told if isinstance(command, AddReplyPiece))
    assert told[-1] == whole("".join(f"{n} " for n in range(60)))
    assert told[-1].content.startswith(told_text)
    assert 10 <= sum(isinstance(command, AddReplyPiece) for command in told) <= 17


async def test_the_model_gets_the_conversation_s_prompt(autojump_clock: MockClock) -> None:
    stage, model = Stage(autojump_clock), ScriptedModel(["Hi"])
    prompt = stage.state.prompt()
    await stage.perform(model)
    assert model.prompts == [prompt]
    assert prompt.turns[-1].content == "Hello"


async def test_the_answer_is_in_the_conversation_when_it_is_done(autojump_clock: MockClock) -> None:
    stage = Stage(autojump_clock)
    await stage.perform(ScriptedModel(["Hi", 0.1, " there"]))
    assert stage.state.said[-1].content == "Hi there"
    assert stage.state.replies == ()


async def test_a_reply_begun_again_starts_over_as_its_next_attempt(autojump_clock: MockClock) -> None:
    stage = Stage(autojump_clock)
    stage.decide(BeginReply("r1", "scripted"))
    stage.decide(piece("lost with the crash"))
    told = await stage.perform(ScriptedModel(["Hi"]))
    assert told == [BEGUN, (0.0, piece("Hi", attempt=2)), (0.0, whole("Hi", attempt=2))]
    assert stage.state.said[-1].content == "Hi"


async def test_a_failure_of_the_model_fails_the_reply(autojump_clock: MockClock) -> None:
    told = await Stage(autojump_clock).perform(ScriptedModel(["Hel", 0.01, ModelFailure("cut off", 7.5)]))
    assert told == [BEGUN, (0.0, piece("Hel")), (0.01, FailReply("r1", "cut off", 7.5))]


async def test_a_model_that_fails_before_its_first_piece_fails_the_reply(autojump_clock: MockClock) -> None:
    assert await Stage(autojump_clock).perform(ScriptedModel([ModelFailure("no key")])) == [
        BEGUN,
        (0.0, FailReply("r1", "no key")),
    ]


@pytest.mark.parametrize("script", [[], [""], [0.1, "", 0.1], [" \n"]])
async def test_an_answer_without_text_is_a_failure(script: list[str | float], autojump_clock: MockClock) -> None:
    stage = Stage(autojump_clock)
    _, last = (await stage.perform(ScriptedModel(script)))[-1]
    assert last == FailReply("r1", "the answer was empty")
    assert stage.state.replies == ()


@pytest.mark.parametrize("script", [[math.inf], ["Hel", math.inf], [part for _ in range(100) for part in ("x", 1.0)]])
async def test_the_whole_answer_is_bounded_by_the_response_timeout(
    script: list[str | float], autojump_clock: MockClock
) -> None:
    told = await Stage(autojump_clock).perform(ScriptedModel(script), response_timeout=4.5)
    assert told[-1] == (4.5, FailReply("r1", "scripted gave no whole answer within 4.5 s"))


async def test_an_answer_longer_than_a_text_may_be_is_a_failure(autojump_clock: MockClock) -> None:
    _, last = (await Stage(autojump_clock).perform(ScriptedModel(["x" * MAX_TEXT, 0.01, "y"])))[-1]
    assert last == FailReply("r1", f"the answer has more than {MAX_TEXT} characters")


async def test_an_overtaken_reply_asks_no_model(autojump_clock: MockClock) -> None:
    stage, model = Stage(autojump_clock), ScriptedModel(["Hi"])
    stage.decide(EndConversation())
    assert await stage.perform(model) == [BEGUN]
    assert model.prompts == []


async def test_a_refused_beginning_asks_no_model(autojump_clock: MockClock) -> None:
    stage, model = Stage(autojump_clock), ScriptedModel(["Hi"])
    stage.state = Conversation()
    assert await stage.perform(model) == [BEGUN]
    assert model.prompts == []


async def test_a_reply_overtaken_while_it_streams_stops_the_model(autojump_clock: MockClock) -> None:
    stage = Stage(autojump_clock)

    async def tell_then_end(command: Any) -> Outcome:
        outcome = await stage.tell(command)
        if isinstance(command, AddReplyPiece):
            stage.decide(EndConversation())
        return outcome

    told = await stage.perform(ScriptedModel(["a", 1.0, "b", 1.0, "c", math.inf]), tell_then_end)
    assert told == [BEGUN, (0.0, piece("a")), (1.0, piece("b"))]
    assert autojump_clock.current_time() - stage.began < 2.0


@pytest.mark.parametrize("after", [0.05, 0.15, 0.25, 0.45])
async def test_cancelled_at_any_point_it_leaves_nothing_behind(after: float, autojump_clock: MockClock) -> None:
    stage = Stage(autojump_clock, delay=0.1)
    living = trio.lowlevel.current_statistics().tasks_living
    with trio.move_on_after(after) as scope:
        await stage.perform(ScriptedModel([0.1, "a", 0.1, "b", math.inf]))
    assert scope.cancelled_caught
    told = list(stage.told)
    await trio.sleep(10)
    assert stage.told == told
    assert trio.lowlevel.current_statistics().tasks_living == living
