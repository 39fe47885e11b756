"""What an operator tells streams from the console: what is offered, done and refused, and that it bears a name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jwt
import pytest
import trio
from jsonschema import Draft202012Validator

from actors.effects import Perform
from adapters.web.auth import ALGORITHM
from adapters.web.console_commands import OFFERS, Offer
from core.call import AgentAdjusted, CallEnded, CallerInterrupted, ConnectSocket, GreetAfter, MetadataShown, WatchSocket
from core.channel import Publish, Published
from core.conversation import (
    DraftReply,
    EndConversation,
    FinalHeard,
    MessageSaid,
    OpenConversation,
    Phase,
    PhaseEntered,
    Role,
)
from core.decider import CommandRejected
from core.identifiers import Category, StreamName
from core.messages import Recorded
from core.session import (
    ChatSaid,
    ContextUpdated,
    DevicesDisconnected,
    ExpireAt,
    JoinDevice,
    OpenSession,
    SessionExpired,
    ValueSet,
    WatchDevices,
)
from eventstore.memory import MemoryStore
from eventstore.opening import open_sqlite
from tests.adapters.web.test_audit import SECRET, Mood, Office, opened
from tests.eventstore.disks import Disk, commits

TALK = StreamName.parse("conversation-talk")
PARCELS = StreamName.parse("session-parcels")
PHONE = StreamName.parse("call-phone")
NEWS = StreamName.parse("channel-news")
BORN: dict[StreamName, tuple[Any, ...]] = {
    TALK: (OpenConversation(),),
    PARCELS: (OpenSession("bob", "shipping", 1, max_age=1_000_000), JoinDevice("boot.1", "bob", "shipping", 1)),
    PHONE: (ConnectSocket("boot.2", 1),),
    NEWS: (Publish("news", {"first": True}),),
}
STREAM_OF = {stream.category: stream for stream in BORN}


async def take_long(*_: Any) -> None:
    """An effect that is under way as long as it is wanted."""
    await trio.sleep_forever()


EFFECTS: tuple[type, ...] = (DraftReply, WatchDevices, ExpireAt, WatchSocket, GreetAfter)
PERFORMERS: dict[type, Perform] = dict.fromkeys(EFFECTS, take_long)


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    """Over a stream of each category that can be told something."""
    async with opened(MemoryStore("epoch"), "memory:", performers=PERFORMERS) as office:
        await born(office)
        yield office


async def born(office: Office) -> None:
    for stream, commands in BORN.items():
        for command in commands:
            await office.system.ask(stream, command, office.system.stamp(principal="bob"))


async def send(
    office: Office, stream: str, name: str, *, role: str = "operator", retry: str | None = None, **body: Any
) -> tuple[int, Any]:
    """Status and body of the answer to ada, who sends this."""
    token = jwt.encode({"sub": "ada", "roles": [role]}, SECRET, ALGORITHM)
    headers = {"Authorization": f"Bearer {token}", "Host": "127.0.0.1"} | ({"Idempotency-Key": retry} if retry else {})
    path, asked = f"/api/console/streams/{stream}/commands", {"name": name, "body": body}
    answer = await office.http.post(path, headers=headers, json=asked)
    return answer.status_code, await answer.get_json()


async def last(office: Office, stream: StreamName) -> Recorded:
    return (await office.system.store.read_stream(stream))[-1]


# --- what is offered --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("category", Category)
async def test_each_category_s_commands_are_told_with_what_they_take(office: Office, category: Category) -> None:
    told = (await office.told(f"/api/console/commands/{category}"))["commands"]
    assert [each["name"] for each in told] == [offer.name for offer in OFFERS[category]]
    for each in told:
        assert each["summary"].endswith(".")
        Draft202012Validator.check_schema(each["schema"])
        assert {"now", "channel"}.isdisjoint(each["schema"]["properties"])


async def test_ids_are_not_asked_for_but_may_be_given(office: Office) -> None:
    told = (await office.told("/api/console/commands/conversation"))["commands"]
    say = next(each["schema"] for each in told if each["name"] == "conversation.say")
    assert say["required"] == ["content"]
    assert {"message_id", "reply_id"} <= say["properties"].keys()


async def test_a_schema_says_what_its_own_types_are(office: Office) -> None:
    told = (await office.told("/api/console/commands/conversation"))["commands"]
    phase = next(each["schema"] for each in told if each["name"] == "conversation.request_phase")
    Draft202012Validator(phase).validate({"phase": "listening"})
    assert not Draft202012Validator(phase).is_valid({"phase": "dancing"})


async def test_of_no_category_nothing_is_offered(office: Office) -> None:
    assert (await office.ask("/api/console/commands/dance"))[0] == 404
    assert (await office.told("/api/console/commands/audit")) == {"commands": []}


# --- what is done -----------------------------------------------------------------------------------------------


DONE: dict[str, tuple[dict[str, Any], type | None]] = {
    "conversation.say": ({"content": "Ahoy?"}, PhaseEntered),
    "conversation.give_reply": ({"content": "Ahoy!"}, MessageSaid),
    "conversation.update_transcript": ({"final": "Ahoy"}, FinalHeard),
    "conversation.request_phase": ({"phase": "listening"}, PhaseEntered),
    "conversation.end": ({}, PhaseEntered),
    "session.chat": ({"message": "Hello, all"}, ChatSaid),
    "session.set_value": ({"key": "colour", "value": [1, None]}, ValueSet),
    "session.update_context": ({"text": "a letter"}, ContextUpdated),
    "session.disconnect_devices": ({}, DevicesDisconnected),
    "session.expire": ({}, None),
    "call.interrupt_caller": ({"content": "One moment."}, CallerInterrupted),
    "call.show_metadata": ({"metadata": {"page": 2}}, MetadataShown),
    "call.adjust_agent": ({"agent_config": {"speed": 1}}, AgentAdjusted),
    "call.end": ({}, CallEnded),
    "channel.publish": ({"payload": {"second": True}}, Published),
}


def test_everything_that_is_offered_is_tried() -> None:
    assert [offer.name for offers in OFFERS.values() for offer in offers] == list(DONE)


@pytest.mark.parametrize("offer", [offer for offers in OFFERS.values() for offer in offers], ids=lambda it: it.name)
async def test_what_is_offered_is_done_in_the_operator_s_name(office: Office, offer: Offer) -> None:
    body, event = DONE[offer.name]
    Draft202012Validator(offer.schema).validate(body)
    stream = STREAM_OF[Category(offer.name.partition(".")[0])]
    before = (await last(office, stream)).version
    status, told = await send(office, stream, offer.name, **body)
    assert (status, told["outcome"]) == (200, "accepted"), told
    assert [each["version"] for each in told["events"]] == list(range(before + 1, told["version"] + 1))
    if event is None:
        assert told["events"] == []
        return
    recorded = await last(office, stream)
    assert type(recorded.event) is event
    assert (recorded.stamp.principal, recorded.stamp.causation_id) == ("ada", None)


async def test_events_are_told_by_their_names(office: Office) -> None:
    status, told = await send(office, TALK, "conversation.end", reason="enough")
    assert (status, told["events"][-1]["event"]) == (200, "conversation.phase_entered")
    event = (await last(office, TALK)).event
    assert (event.phase, event.metadata) == (Phase.ENDED, {"reason": "enough"})


async def test_ids_that_are_left_out_are_new_and_those_given_are_kept(office: Office) -> None:
    for given in {}, {}, {"message_id": "mine"}:
        assert (await send(office, TALK, "conversation.give_reply", content="Ahoy!", **given))[0] == 200
    said = [record.event.message_id for record in await office.system.store.read_stream(TALK, after=1)]
    assert len({*said}) == 3
    assert said[2] == "mine"


async def test_nobody_chooses_the_time_or_the_channel(office: Office) -> None:
    assert (await send(office, PARCELS, "session.chat", message="late", now=7))[0] == 200
    recorded = await last(office, PARCELS)
    assert recorded.event.at == recorded.stamp.time > 7
    assert (await send(office, NEWS, "channel.publish", payload={}, channel="weather"))[0] == 200
    assert (await last(office, NEWS)).event.channel == "news"


async def test_a_session_is_ended_when_its_time_is_over_and_nobody_is_there(office: Office) -> None:
    left = StreamName.parse("session-left")
    await office.system.ask(left, OpenSession("bob", "shipping", 1, max_age=1_000_000), office.system.stamp())
    status, told = await send(office, left, "session.expire")
    assert (status, told["version"]) == (200, 2)
    assert isinstance((await last(office, left)).event, SessionExpired)


async def test_the_same_key_does_it_once(office: Office) -> None:
    first = await send(office, TALK, "conversation.give_reply", retry="k-1", content="Ahoy!")
    again = await send(office, TALK, "conversation.give_reply", retry="k-1", content="Ahoy!")
    assert first == again
    assert (await last(office, TALK)).version == 2
    assert (await last(office, TALK)).event.role is Role.ASSISTANT


# --- what is refused --------------------------------------------------------------------------------------------


async def test_a_refusal_is_told_and_recorded_with_the_operator_s_name(office: Office) -> None:
    await office.system.ask(TALK, EndConversation(), office.system.stamp())
    status, told = await send(office, TALK, "conversation.say", content="Anybody there?")
    assert (status, told) == (409, {"detail": "The conversation has ended"})
    refused = await last(office, TALK)
    assert isinstance(refused.event, CommandRejected)
    assert (refused.event.code, refused.stamp.principal) == ("conversation_ended", "ada")


@pytest.mark.parametrize(
    "stream, name",
    [
        (TALK, "conversation.begin_reply"),
        (TALK, "conversation.complete_reply"),
        (TALK, "conversation.join_client"),
        (TALK, "conversation.open"),
        (TALK, "conversation.say/1"),
        (TALK, "session.chat"),
        (PARCELS, "session.quote_rates"),
        (PHONE, "call.succeed_tool"),
        (StreamName.parse("audit-2026-11-21"), "audit.note_access"),
        (StreamName.parse("delivery-boot.1"), "delivery.note"),
    ],
)
async def test_what_is_not_offered_cannot_be_sent(office: Office, stream: StreamName, name: str) -> None:
    status, told = await send(office, stream, name)
    assert (status, told["detail"][0]["loc"]) == (422, ["body", "name"])


@pytest.mark.parametrize("body", [{}, {"content": 7}, {"content": "x", "target_vocabulary": "y"}])
async def test_a_body_that_is_none_is_refused(office: Office, body: dict[str, Any]) -> None:
    status, told = await send(office, TALK, "conversation.say", **body)
    assert (status, told["detail"][0]["loc"]) == (422, ["body", "body"])
    assert (await last(office, TALK)).version == 1


@pytest.mark.parametrize("stream", ["conversation-unborn", "dance-1", "conversation", "conversation-%20"])
async def test_a_stream_that_is_not_there_is_told_nothing(office: Office, stream: str) -> None:
    head = office.system.store.head
    assert await send(office, stream, "conversation.say", content="x") == (404, {"detail": "Stream not found"})
    assert office.system.store.head == head


async def test_only_operators_send_and_auditors_see_what_could_be_sent(office: Office) -> None:
    for role in "auditor", "client":
        assert (await send(office, TALK, "conversation.end", role=role))[0] == 403
    assert (await last(office, TALK)).version == 1
    offers = "/api/console/commands/call"
    assert [(await office.ask(offers, role=role))[0] for role in ("auditor", "operator", "client")] == [200, 200, 403]


async def test_what_cannot_be_recorded_is_not_done(tmp_path: Path) -> None:
    moods: list[Mood] = ["well"]
    path, disk = tmp_path / "log.db", Disk()
    disk.fault = commits(lambda: moods[-1])
    async with (
        open_sqlite(path, connect=disk.connect) as store,
        opened(store, f"sqlite:///{path}", performers=PERFORMERS) as office,
    ):
        await born(office)
        moods.append("lost")
        assert (await send(office, TALK, "conversation.end"))[0] == 503
        moods.append("well")
