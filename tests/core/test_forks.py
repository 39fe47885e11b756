"""A past that is gone on with elsewhere: what of it holds there, and what does not."""

from __future__ import annotations

from core import call as calls
from core.call import Call, CallForked, ForkCall, call
from core.conversation import (
    BeginReply,
    ChannelChosen,
    ClientJoined,
    ConversationForked,
    ConversationOpened,
    DraftReply,
    ForkConversation,
    MessageSaid,
    Phase,
    PhaseEntered,
    ReplyBegun,
    Role,
    conversation,
)
from core.identifiers import StreamName
from core.lineage import is_copy, lineage
from core.messages import Recorded, Stamp
from core.specification import Situation, given
from core.views import Board

OPENED = ConversationOpened("friendly_neutral", "daily", None, None, "legacy")
FORK = ForkConversation("conversation-s", 9, "gpt-4o", "Rhyme.", "playful", "the sea")
FORKED = ConversationForked("conversation-s", 9, "gpt-4o", "Rhyme.", "playful", "the sea")


def test_a_fork_has_its_own_model_and_prompt_and_gives_the_answer_that_waits() -> None:
    said = MessageSaid("m1", Role.USER, "Hi", reply_id="r1")
    steps = PhaseEntered(Phase.LISTENING, Phase.IDLE), said, PhaseEntered(Phase.PROCESSING, Phase.LISTENING)
    before = given(conversation, OPENED, *steps, ClientJoined("a.1", 1), ReplyBegun("r1", 1, "m"))
    fork = before.when(FORK).then(FORKED).leads_to(model="gpt-4o", clients=()).wants(DraftReply("r1"))
    prompt = fork.state.prompt()
    assert (prompt.instructions, prompt.personality, prompt.topic) == ("Rhyme.", "playful", "the sea")
    fork.when(BeginReply("r1", "gpt-4o")).then(ReplyBegun("r1", 2, "gpt-4o"))


def test_what_a_fork_does_not_name_stays_as_it_was_in_forks_of_forks_too() -> None:
    fork = given(conversation, OPENED, FORKED).when(ForkConversation("conversation-t", 2, topic="the moon"))
    fork.leads_to(model="gpt-4o", instructions="Rhyme.", personality="playful", topic="the moon")


def test_a_fork_of_a_thread_is_shown_on_no_channel_but_looks_things_up_as_before() -> None:
    same = ForkConversation("conversation-s", 2)
    fork = given(conversation, OPENED, ChannelChosen("news")).when(same).leads_to(channel=None, model=None)
    assert fork.state.uses_tools
    assert not given(conversation, OPENED).when(same).state.uses_tools


def test_what_is_over_or_never_was_is_not_gone_on_with() -> None:
    given(conversation, OPENED, PhaseEntered(Phase.ENDED, Phase.IDLE)).when(FORK).rejected("conversation_ended")
    given(conversation).when(FORK).rejected("conversation_not_found")
    given(conversation, OPENED).when(ForkConversation("conversation-s", 1, prompt="x" * 100_001)).rejected("too_long")
    given(call, calls.SocketConnected("a.1", 0), calls.CallEnded("ended", 1)).when(FORK_CALL).rejected("call_ended")
    given(call).when(FORK_CALL).rejected("call_not_found")


FORK_CALL = ForkCall("call-c", 9, 3_000_000, "gpt-4o", "Rhyme.")


def talking() -> Situation[Call, calls.Command, calls.Event, calls.Effect]:
    """A tool runs for the first answer."""
    return given(
        call, calls.SocketConnected("a.1", 0), calls.ResponseRequired(1, False), calls.ResponseBegun(1, 1, "m"),
        calls.ResponsePaused(1, 1, ("t1",)), calls.ToolRequested("t1", "weather", "{}", 1), calls.ToolBegun("t1"),
    )  # fmt: skip


def test_a_fork_of_a_call_has_no_socket_and_runs_no_tool_that_ran_there() -> None:
    fork = talking().when(FORK_CALL).then(
        CallForked("call-c", 9, "gpt-4o", "Rhyme."), calls.ResponseSuperseded(1, None, ""),
        calls.ToolFailed("t1", "the caller is gone"), calls.SocketDisconnected("a.1", "forked", 3.0),
    )  # fmt: skip
    fork.leads_to(model="gpt-4o", instructions="Rhyme.", socket=None).wants()
    fork.when(calls.ConnectSocket("b.1", 4)).then(calls.SocketConnected("b.1", 4))


def test_a_call_without_a_socket_is_forked_as_it_is() -> None:
    over = given(call, calls.SocketConnected("a.1", 0), calls.SocketDisconnected("a.1", "gone", 1.0))
    over.when(ForkCall("call-c", 2, 3)).then(CallForked("call-c", 2)).leads_to(model=None, instructions=None)
    over.when(ForkCall("call-c", 2, 3, prompt="x" * 100_001)).rejected("too_long")


def recorded(stream: str, version: int, event: object, causation: str | None = None) -> Recorded:
    return Recorded(version, StreamName(stream), version, event, Stamp("c", version, causation_id=causation))


def test_copies_are_told_from_what_happened_here() -> None:
    assert is_copy(recorded("conversation-b", 1, OPENED, "conversation-a@1"))
    assert not is_copy(recorded("conversation-b", 1, OPENED))
    assert not is_copy(recorded("conversation-b", 3, FORKED, "conversation-b@2"))
    said_again = Stamp("c", 1, "key", "conversation-a@7")
    assert not is_copy(Recorded(4, StreamName("conversation-b"), 4, OPENED, said_again))
    assert not is_copy(recorded("channel-news", 3, object(), "conversation-b@2"))


def test_the_lineage_is_the_streams_own_and_none_that_was_copied() -> None:
    old = recorded("conversation-c", 2, FORKED, "conversation-b@2")
    own = recorded("conversation-c", 3, ConversationForked("conversation-b", 2))
    assert lineage([recorded("conversation-c", 1, OPENED, "conversation-b@1"), old, own]) == (own, own.event)
    assert lineage([recorded("conversation-b", 1, OPENED)]) is None


def test_the_board_lists_a_fork_with_what_it_is_about_now() -> None:
    board = Board({})
    for version, event in enumerate((OPENED, FORKED), start=1):
        board.apply(recorded("conversation-b", version, event))
    (row,) = board.conversations().conversations
    assert (row.personality, row.topic, row.is_legacy) == ("playful", "the sea", False)
