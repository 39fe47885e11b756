"""A channel's assistant is a conversation: who asks opens it; what is done for the answer is recorded."""

from __future__ import annotations

from typing import Any

from core.conversation import (
    AddReplyPiece,
    Ask,
    BeginReply,
    BeginReplyTool,
    ChannelChosen,
    CompleteReply,
    ConversationOpened,
    DraftReply,
    EndConversation,
    EndReplyTool,
    Phase,
    ReplyToolBegun,
    ReplyToolEnded,
    conversation,
)
from core.specification import Verdict, given

ASK = Ask("news", "m1", "r1", "Weather in Oslo?")


def asked() -> Verdict[Any, Any, Any, Any]:
    return given(conversation).when(ASK)


def kinds(verdict: Verdict[Any, Any, Any, Any]) -> list[str]:
    assert isinstance(verdict.outcome, tuple)
    return [type(event).__name__ for event in verdict.outcome]


def test_who_asks_first_opens_the_thread_on_the_channel() -> None:
    verdict = asked().leads_to(phase=Phase.PROCESSING, channel="news", created_via="channels").wants(DraftReply("r1"))
    assert kinds(verdict) == ["ConversationOpened", "ChannelChosen", "PhaseEntered", "MessageSaid", "PhaseEntered"]


def test_who_asks_again_asks_there() -> None:
    again = asked().when(Ask("news", "m2", "r2", "And in Rome?"))
    assert kinds(again) == ["MessageSaid"]
    moved = again.when(Ask("sport", "m3", "r3", "And who won?")).leads_to(channel="sport")
    assert kinds(moved) == ["ChannelChosen", "MessageSaid"]


def test_a_conversation_that_was_opened_otherwise_may_be_asked_on_a_channel_too() -> None:
    opened = ConversationOpened("formal", "daily", None, None, "api")
    given(conversation, opened).when(ASK).leads_to(personality="formal", created_via="api", channel="news")


def test_what_has_ended_is_not_asked() -> None:
    asked().when(EndConversation()).when(Ask("news", "m2", "r2", "Hello?")).rejected("conversation_ended")


def test_what_is_too_long_is_not_asked_and_opens_nothing() -> None:
    given(conversation).when(Ask("news", "m1", "r1", "x" * 200_000)).rejected("too_long").leads_to(phase=None)


def test_tools_of_the_answer_under_way_are_recorded_and_change_nothing() -> None:
    begun = asked().when(BeginReply("r1", "model"))
    used = begun.when(BeginReplyTool("r1", 1, "c1", "get_weather", "{}")).then(
        ReplyToolBegun("r1", 1, "c1", "get_weather", "{}")
    )
    ended = used.when(EndReplyTool("r1", 1, "c1", "3 °C")).then(ReplyToolEnded("r1", 1, "c1", "3 °C", False))
    assert ended.state == begun.state
    said = ended.when(AddReplyPiece("r1", 1, "It is ")).when(CompleteReply("r1", 1, "It is 3 °C."))
    assert kinds(said)[0] == "MessageSaid"


def test_tools_of_an_attempt_that_was_overtaken_are_of_no_consequence() -> None:
    again = asked().when(BeginReply("r1", "model")).when(BeginReply("r1", "model"))
    again.when(BeginReplyTool("r1", 1, "c1", "get_weather", "{}")).then()
    again.when(EndReplyTool("r1", 1, "c1", "3 °C")).then()
    given(conversation).when(EndReplyTool("r1", 1, "c1", "3 °C")).rejected("conversation_not_found")


def test_the_channel_is_chosen_by_an_event() -> None:
    given(conversation, ChannelChosen("news")).leads_to(channel="news")
