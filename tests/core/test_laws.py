"""The laws every decider keeps, and the invariants of each one's own state, on random walks.

A walk is interpreted from a string of bytes: every byte chooses among a few things, so walks are cheap to draw and
shrink well. Commands are chosen with an eye on the state, so that walks reach the deep states: ids come from small
pools and from what the state is waiting for, so that repetitions, late results and overtaken attempts are as
frequent as the ordinary course of things.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import call as calls
from core import channel as channels
from core import conversation as talks
from core import session as sessions
from core.conversation import TRANSITIONS, Conversation, Phase, PhaseEntered, conversation
from core.decider import AnyDecider, CommandRejected, Rejected

TEXTS = ("", "a", "Hello there.", "um, I I think 🙂")
CONNECTIONS = ("a.1", "a.2", "b.1", "b.2", "c.1")
OBJECTS: tuple[dict[str, Any], ...] = ({}, {"key": "value"}, {"key": [1, {"deep": None}]})


class Choices:
    """Choices read off a string of bytes, one each. When it is used up everything is the first of its kind."""

    def __init__(self, source: bytes) -> None:
        self._source, self._at = source, 0

    @property
    def are_left(self) -> bool:
        return self._at < len(self._source)

    def number(self, below: int) -> int:
        value = self._source[self._at] % below if self.are_left else 0
        self._at += 1
        return value

    def of(self, *pool: Any) -> Any:
        return pool[self.number(len(pool))]

    def near(self, current: Sequence[Any], *pool: Any) -> Any:
        """Mostly what is current, if anything is, else from the pool."""
        return current[self.number(len(current))] if current and self.number(4) else self.of(*pool)

    def text(self) -> Any:
        return self.of(*TEXTS)

    def mapping(self) -> Any:
        return self.of(*OBJECTS)


@dataclass(frozen=True)
class Step:
    before: Any
    command: Any
    outcome: tuple[Any, ...] | Rejected
    after: Any

    @property
    def events(self) -> tuple[Any, ...]:
        return () if isinstance(self.outcome, Rejected) else self.outcome


Walks = st.SearchStrategy[list[Step]]


def walks(decider: AnyDecider, choose: Callable[[Any, Choices], Any], *first: Any) -> Walks:
    """Walks that begin with the `first` commands."""

    def walk(source: bytes) -> list[Step]:
        steps, state, choices, opening = list[Step](), decider.initial, Choices(source), list(first)
        while opening or choices.are_left:
            command = opening.pop(0) if opening else choose(state, choices)
            outcome = decider.decide(state, command)
            after = state if isinstance(outcome, Rejected) else decider.fold(state, outcome)
            steps.append(Step(state, command, outcome, after))
            state = after
        return steps

    # Mostly long walks: left to itself, the strategy prefers a few bytes, and so never gets far.
    return st.one_of(st.binary(min_size=200, max_size=400), st.binary(max_size=40)).map(walk)


def conversation_command(state: Conversation, choose: Choices) -> Any:
    reply_id = choose.near([reply.reply_id for reply in state.replies[:1]], "r1", "r2", "r3")
    attempt = choose.near([reply.attempt for reply in state.replies[:1]], 0, 1, 2)
    match choose.number(20):
        case 0 | 1 | 2:
            number = choose.number(20)
            return talks.Say(f"m{number}", f"r{number}", choose.text())
        case 3 | 4 | 5:
            return talks.BeginReply(reply_id, "model")
        case 6 | 7 | 8:
            return talks.AddReplyPiece(reply_id, attempt, choose.text())
        case 9 | 10:
            return talks.CompleteReply(reply_id, attempt, choose.text())
        case 11:
            return talks.FailReply(reply_id, choose.text())
        case 12 | 13:
            legal = sorted(TRANSITIONS[state.phase] - {Phase.ENDED}) if state.phase else []
            return talks.RequestPhase(choose.near(legal, *sorted(Phase, reverse=True)), choose.mapping())
        case 14 if choose.number(3) == 0:
            return talks.Ask(choose.of("news", "sport"), "m7", "r7", choose.text())
        case 14 if choose.number(2) == 0:
            return choose.of(
                talks.BeginReplyTool(reply_id, attempt, "c1", "get_weather", "{}"),
                talks.EndReplyTool(reply_id, attempt, "c1", choose.text(), choose.of(False, True)),
            )
        case 14:
            return talks.UpdateTranscript(choose.of(None, *TEXTS), choose.of(None, *TEXTS))
        case 15:
            return talks.GiveReply("g1", choose.text())
        case 16:
            return talks.JoinClient(choose.of(*CONNECTIONS))
        case 17:
            return talks.LeaveClient(choose.of(*CONNECTIONS))
        case 18:
            forked = talks.ForkConversation("conversation-s", 4, choose.of(None, "model"), choose.of(None, "Rhyme."))
            return choose.of(talks.OpenConversation(), talks.MigrateConversation(), talks.ReportSpeech("start"), forked)
        case _:  # an end makes the rest of a walk dull, so it is chosen seldom
            return talks.GiveReply("g2", "Go on.") if choose.number(12) else talks.EndConversation()


def channel_command(state: channels.Channel, choose: Choices) -> Any:
    names = ("news", "sport", "", "x" * (channels.MAX_NAME + 1), "späti 🙂")
    return channels.Publish(choose.near([state.name] if state.name else [], *names), choose.mapping())


LABEL: dict[str, Any] = {name: name for name in sessions.TOOLS["create_label"]} | {"weight": 2.5}
MADE: dict[str, Any] = dict.fromkeys(sessions.LABEL_KEYS, "x")
ROUTE = {"from_zip": "10001", "to_zip": "94105", "weight": 3}
SHIPMENT = {"origin_zip": "10001", "destination_zip": "94105", "weight": 1}
QUOTES = [{"carrier": "UPS", "service": "Ground", "price": 9.5, "eta": "4 days"}, {"carrier": "USPS", "price": 7}]
MEDIA = (sessions.Media("d1", 3, "audio/wav"), sessions.Media("d2", 4, "audio/wav"))
TOOL_CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("create_label", LABEL), ("get_shipping_quotes", ROUTE), ("create_label", {}), ("fly", {}),
)  # fmt: skip


def session_command(state: sessions.Session, choose: Choices) -> Any:
    now = state.last_active + choose.of(0, 10, 60, -5)
    match choose.number(12):
        case 0 | 1:
            name, parameters = choose.of(*TOOL_CALLS)
            broadcast = choose.of(False, True)
            return sessions.RequestToolCall(choose.of("t1", "t2", "t3"), name, parameters, "q", now, broadcast)
        case 2:
            return sessions.RequestRates(choose.of("q1", "q2"), choose.of(SHIPMENT, {}), now)
        case 3 | 4 | 5:
            return session_answer(state, choose)
        case 6:
            via = choose.near(["shipping"], "streams")
            return sessions.JoinDevice(choose.of(*CONNECTIONS), choose.near(["ann"], "bob"), via, now)
        case 7:
            gone = sessions.LeaveDevice(choose.near(state.devices, "a.1"), now)
            return choose.near([gone], sessions.LoseDevices(choose.of("a", "b"), now), sessions.DisconnectDevices(now))
        case 8:
            return sessions.ReportPeer(choose.near(state.devices, "a.1"), choose.of(*sessions.PeerState), now)
        case 9:
            media = choose.of(*MEDIA)
            return choose.of(
                sessions.ReceiveMedia(sessions.MediaKind.AUDIO, media, now), sessions.RequestTranscription(now),
                sessions.RequestTranscription(now, media), sessions.ReceiveMedia(sessions.MediaKind.VIDEO, media, now),
            )  # fmt: skip
        case 10:
            return choose.of(
                sessions.UpdateContext("hint", "q", now, choose.mapping()), sessions.Chat(choose.text(), now),
                sessions.SetValue(choose.text(), choose.mapping(), now),
                sessions.ShareAnswer(choose.of(*sessions.Question), "q"),
                sessions.RelaySignal(choose.of(*sessions.Signal), choose.mapping(), now),
                sessions.OpenSession(choose.of("ann", "bob"), "shipping", now),
            )  # fmt: skip
        case _:
            return sessions.ExpireSession(state.last_active + choose.of(1, 1, 1, 10**9))


def session_answer(state: sessions.Session, choose: Choices) -> Any:
    """Mostly of the right kind and form. A wrong one is somebody's mistake, but must do no harm."""
    number = choose.near([request.number for request in state.open], 1, 2, 3)
    request = state.numbered(number)
    failed = choose.number(4) == 0
    kind: sessions.RequestKind = choose.near([request.kind] if request else [], *sessions.RequestKind)
    match kind:
        case sessions.RequestKind.TOOL:
            right = QUOTES if request and request.tool_name == "get_shipping_quotes" else MADE
            result = choose.near([right], MADE, QUOTES, [{"price": None}], ["free"], None)
            return sessions.FailToolCall(number, "no") if failed else sessions.SucceedToolCall(number, result)
        case sessions.RequestKind.RATES:
            return sessions.FailRates(number, "no") if failed else sessions.QuoteRates(number, QUOTES)
        case sessions.RequestKind.TRANSCRIPTION:
            return sessions.FailTranscription(number, "no") if failed else sessions.SucceedTranscription(number, "yes")
        case _:
            assert_never(kind)


def call_command(state: calls.Call, choose: Choices) -> Any:
    now = choose.number(100)
    match choose.number(12):
        case 0 | 1:
            following = [state.newest + 1] if state.response is None else [state.response.response_id + 1]
            return calls.RequireResponse(choose.near(following, *range(10)), transcript(state, choose))
        case 2 | 3 | 4 | 5:
            return draft_command(state, choose)
        case 6 | 9 | 10:
            tool_call_id = choose.near([tool.call.tool_call_id for tool in state.open_tools], "t1", "t2")
            return choose.of(
                calls.BeginTool(tool_call_id), calls.SucceedTool(tool_call_id, "sunny"),
                calls.FailTool(tool_call_id, "cloudy"),
            )  # fmt: skip
        case 7:
            socket, lost = (
                choose.near([state.socket or "a.1"], *CONNECTIONS),
                calls.LoseSocket(choose.of("a", "b"), now),
            )
            connect = calls.ConnectSocket(choose.of(*CONNECTIONS), now)
            return choose.of(connect, connect, calls.DisconnectSocket(socket, now), lost)
        case 8:
            return choose.of(
                calls.UpdateTranscript(transcript(state, choose), choose.of(None, "agent_turn", "user_turn")),
                calls.DescribeCall(choose.mapping()), calls.Greet(), calls.ShowMetadata(choose.mapping()),
                calls.AdjustAgent(choose.mapping()), calls.InterruptCaller(1, "Wait."), calls.NoteUnknown("x", "?"),
                calls.ForkCall("call-s", 4, now, choose.of(None, "model")),
            )  # fmt: skip
        case _:
            if choose.number(12):
                return calls.ReceiveWebhook(choose.of("call_started", "call_analyzed"), choose.mapping(), now)
            return choose.of(calls.ReceiveWebhook("call_ended", choose.mapping(), now), calls.EndCall(now))


def transcript(state: calls.Call, choose: Choices) -> Any:
    """As it was, with more of it, with its last utterance continued or cut off, or another one altogether."""
    old, more = state.transcript, calls.Utterance(choose.of(*calls.Speaker), choose.text())
    last = [calls.Utterance(said.role, choose.of(said.content + "!", said.content[:1])) for said in old[-1:]]
    return choose.of((*old, more), old, (*old[:-1], *last), (*old[:-1], *last, more), (more, *old[:2]))


def draft_command(state: calls.Call, choose: Choices) -> Any:
    response = state.response
    response_id = choose.near([response.response_id] if response else [], 0, 1, 2, 3)
    attempt = choose.near([response.attempt] if response else [], 0, 1, 2)
    tools = tuple(calls.ToolCall(f"t{choose.number(9)}", "forecast", "{}") for _ in range(choose.number(3)))
    return choose.of(
        calls.BeginResponse(response_id, "model"), calls.AddResponsePiece(response_id, attempt, choose.text()),
        calls.RequestTools(response_id, attempt, tools), calls.CompleteResponse(response_id, attempt, choose.text()),
        calls.FailResponse(response_id, "broken"),
    )  # fmt: skip


CONVERSATION_WALKS = walks(conversation, conversation_command, talks.OpenConversation(created_via="legacy"))
SESSION_WALKS = st.one_of(
    walks(
        sessions.session,
        session_command,
        sessions.OpenSession("ann", "shipping", 0, max_age=100),
        sessions.JoinDevice("a.1", "ann", "shipping", 1),
    ),
    walks(sessions.session, session_command, sessions.OpenSession("ann", "shipping", 0)),
)
CALL_WALKS = walks(calls.call, call_command, calls.ConnectSocket("a.1", 0))
CHANNEL_WALKS = walks(channels.channel, channel_command)

DECIDERS: list[tuple[AnyDecider, Walks]] = [
    (conversation, CONVERSATION_WALKS),
    (sessions.session, SESSION_WALKS),
    (calls.call, CALL_WALKS),
    (channels.channel, CHANNEL_WALKS),
]


# --- the laws ---------------------------------------------------------------------------------------------------

WALKS = settings(max_examples=80)
"""Every law sees other walks, so a few of each are many together."""

each_decider = pytest.mark.parametrize("decider, walks", DECIDERS, ids=["conversation", "session", "call", "channel"])


def events_of(steps: list[Step]) -> list[Any]:
    return [event for step in steps for event in step.events]


@each_decider
@given(data=st.data())
@WALKS
def test_folding_in_two_parts_is_folding_at_once(decider: AnyDecider, walks: Walks, data: st.DataObject) -> None:
    events = events_of(data.draw(walks))
    cut = data.draw(st.integers(0, len(events)))
    first = decider.fold(decider.initial, events[:cut])
    assert decider.fold(first, events[cut:]) == decider.fold(decider.initial, events)


@each_decider
@given(data=st.data())
@WALKS
def test_a_recorded_rejection_changes_nothing(decider: AnyDecider, walks: Walks, data: st.DataObject) -> None:
    for step in data.draw(walks):
        if isinstance(step.outcome, Rejected):
            assert step.outcome.code
            assert step.outcome.message
            assert decider.fold(step.before, [CommandRejected.of(step.outcome)]) == step.before


@each_decider
@given(data=st.data())
@WALKS
def test_deciding_again_gives_the_same_and_leaves_state_and_command_as_they_were(
    decider: AnyDecider, walks: Walks, data: st.DataObject
) -> None:
    for step in data.draw(walks):
        before = repr((step.before, step.command))
        assert decider.decide(step.before, step.command) == step.outcome
        assert decider.fold(step.before, step.events) == step.after
        assert repr((step.before, step.command)) == before


@each_decider
@given(data=st.data())
@WALKS
def test_terminal_stays_terminal(decider: AnyDecider, walks: Walks, data: st.DataObject) -> None:
    for step in data.draw(walks):
        if decider.is_terminal(step.before):
            assert decider.is_terminal(step.after)
            assert decider.wanted(step.after) == frozenset()


@each_decider
@given(data=st.data())
@WALKS
def test_where_work_is_wanted_the_last_hint_says_so(decider: AnyDecider, walks: Walks, data: st.DataObject) -> None:
    hint: bool | None = None
    for step in data.draw(walks):
        for event in step.events:
            said = decider.opens_work(event)
            hint = hint if said is None else said
        assert hint or decider.wanted(step.after) == frozenset(), step


@each_decider
@given(data=st.data())
@WALKS
def test_an_effect_that_is_given_up_is_wanted_no_more(decider: AnyDecider, walks: Walks, data: st.DataObject) -> None:
    for step in data.draw(walks):
        for effect in decider.wanted(step.after):
            assert decider.give_up is not None
            outcome = decider.decide(step.after, decider.give_up(effect, "it crashed"))
            assert not isinstance(outcome, Rejected)
            assert effect not in decider.wanted(decider.fold(step.after, outcome))


@each_decider
@given(data=st.data())
@WALKS
def test_commands_events_and_states_survive_being_written_down(
    decider: AnyDecider, walks: Walks, data: st.DataObject
) -> None:
    steps = data.draw(walks)
    for value in [*events_of(steps), *(step.command for step in steps), *(step.after for step in steps[-1:])]:
        assert msgspec.json.decode(msgspec.json.encode(value), type=type(value)) == value


@each_decider
@given(data=st.data())
@WALKS
def test_whatever_the_log_holds_can_be_folded_whatever_came_before(
    decider: AnyDecider, walks: Walks, data: st.DataObject
) -> None:
    state = data.draw(walks)[-1:]
    start = state[0].after if state else decider.initial
    decider.fold(start, events_of(data.draw(walks)))


# --- what holds in every state of one kind ----------------------------------------------------------------------


@given(CONVERSATION_WALKS)
@WALKS
def test_a_conversation_walks_legal_transitions_only(steps: list[Step]) -> None:
    phase = Phase.IDLE
    for event in events_of(steps):
        if isinstance(event, PhaseEntered):
            assert event.left is phase
            assert event.phase in TRANSITIONS[phase]
            phase = event.phase


@given(CONVERSATION_WALKS)
@WALKS
def test_a_conversation_keeps_its_bounds(steps: list[Step]) -> None:
    for step in steps:
        state: Conversation = step.after
        assert len(state.replies) <= talks.MAX_WAITING
        assert len(state.said) <= talks.REMEMBERED_TURNS + talks.MAX_WAITING
        assert not state.replies or state.phase in talks.ANSWERING
        assert {client.partition(".")[0] for client in state.clients} in ({"a"}, {"b"}, {"c"}, set())


@given(CONVERSATION_WALKS)
@WALKS
def test_every_waiting_message_stands_in_the_prompt_when_its_turn_comes(steps: list[Step]) -> None:
    for step in steps:
        state: Conversation = step.after
        if state.replies:
            content = next(said.content for said in state.said if said.message_id == state.replies[0].message_id)
            assert content in [turn.content for turn in state.prompt().turns]


@given(SESSION_WALKS)
@WALKS
def test_a_session_numbers_its_requests_and_answers_each_once(steps: list[Step]) -> None:
    asked: list[int] = []
    answered: list[int] = []
    for event in events_of(steps):
        if isinstance(event, sessions.Requested):
            asked.append(event.number)
        elif isinstance(event, sessions.Settled):
            answered.append(event.number)
    assert asked == list(range(1, len(asked) + 1))
    assert len(set(answered)) == len(answered)
    assert set(answered) <= set(asked)


@given(SESSION_WALKS)
@WALKS
def test_no_tool_call_is_asked_twice_with_the_same_content(steps: list[Step]) -> None:
    asked = [
        (event.tool_call_id, event.tool_name, repr(event.parameters))
        for event in events_of(steps)
        if isinstance(event, sessions.ToolCallRequested)
    ]
    assert len(set(asked)) == len(asked)


@given(SESSION_WALKS)
@WALKS
def test_a_session_keeps_its_bounds(steps: list[Step]) -> None:
    active = 0
    for step in steps:
        state: sessions.Session = step.after
        assert len(state.open) <= sessions.MAX_OPEN
        assert set(state.peers) <= set(state.devices)
        assert {device.partition(".")[0] for device in state.devices} in ({"a"}, {"b"}, {"c"}, set())
        assert state.last_active >= active
        assert not state.expired or not (state.devices or state.open)
        active = state.last_active


@given(CALL_WALKS)
@WALKS
def test_without_a_socket_nothing_of_a_call_runs_on(steps: list[Step]) -> None:
    for step in steps:
        state: calls.Call = step.after
        if state.socket is None or state.ended:
            assert (state.response, state.open_tools) == (None, ())
            assert calls.wanted(state) == frozenset()


@given(CALL_WALKS)
@WALKS
def test_every_frame_of_an_answer_is_for_the_newest_response_id(steps: list[Step]) -> None:
    current, over = -1, set[int]()
    for event in events_of(steps):
        match event:
            case calls.ResponseRequired(response_id):
                assert response_id > max(over, default=-1)
                current = response_id
            case calls.ResponsePieceAdded(response_id) | calls.ResponseBegun(response_id):
                assert response_id == current
                assert response_id not in over
            case calls.ResponseCompleted(response_id) | calls.ResponseFailed(response_id):
                assert response_id == current
                assert response_id not in over
                over.add(response_id)
            case _:
                pass


@given(CALL_WALKS)
@WALKS
def test_a_call_is_greeted_once_and_each_tool_runs_once(steps: list[Step]) -> None:
    events = events_of(steps)
    begun = [event.tool_call_id for event in events if isinstance(event, calls.ToolBegun)]
    assert len(set(begun)) == len(begun)
    assert sum(isinstance(event, calls.GreetingGiven) for event in events) <= 1
    heard = [event.event for event in events if isinstance(event, calls.WebhookReceived)]
    assert len(set(heard)) == len(heard)


@given(CALL_WALKS)
@WALKS
def test_the_recorded_differences_make_the_transcript_the_platform_sent(steps: list[Step]) -> None:
    for step in steps:
        state: calls.Call = step.after
        match step.command:
            case calls.UpdateTranscript(transcript) if not isinstance(step.outcome, Rejected):
                assert state.transcript == transcript
            case calls.RequireResponse(transcript=transcript) if step.events:
                assert state.transcript == transcript
            case _:
                assert state.transcript == step.before.transcript


@given(CHANNEL_WALKS)
@WALKS
def test_a_channel_is_opened_once_and_carries_what_was_published_on_it_alone(steps: list[Step]) -> None:
    events = events_of(steps)
    published = [step.command for step in steps if not isinstance(step.outcome, Rejected)]
    carried = [event for event in events if isinstance(event, channels.Published)]
    assert [(event.channel, event.payload) for event in carried] == [(it.channel, it.payload) for it in published]
    assert len({event.channel for event in carried}) <= 1
    assert sum(isinstance(event, channels.ChannelOpened) for event in events) == min(1, len(carried))
    assert not steps or steps[-1].after.carried == len(carried)
