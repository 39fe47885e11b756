"""Whatever a client sends: one answer or one command, and nothing else; and what the dialogues do not reach."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.protocols.channels import CHANNELS, dialect_for
from adapters.protocols.channels.connection import MAX_HELD, MAX_SUBSCRIPTIONS, TRY_AGAIN
from adapters.protocols.channels.dialect import endpoints
from adapters.protocols.channels.requests import RESERVED
from core.channel import ChannelOpened, Publish, Published, stream_of
from core.conversation import Ask
from core.decider import Rejected
from core.dialect import Connection, Handshake, Output, Reach, Tell, Tune, Untune, Write
from core.identifiers import Category, StreamName
from core.messages import Accepted, Busy, Recorded, Refused, Stamp
from tests.dialogues.stage import Stage

NOW = 1_735_862_400_000_000
CODES = {"invalid_json", "invalid_message", "missing_channel", "reserved_channel", "busy"}

anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from(["news", "sport", "", "x" * 300, *sorted(RESERVED)]) | st.text(max_size=20)
payloads = st.fixed_dictionaries(
    {},
    optional={
        "channel": names | anything, "since": st.integers() | anything, "envelope": st.booleans() | anything,
        "epoch": st.sampled_from(["e", "other"]) | anything, "x": anything, "message": st.text() | anything,
        "thread_id": st.text() | anything,
    },
)  # fmt: skip
frames = st.fixed_dictionaries(
    {"type": names | anything, "payload": payloads | anything},
    optional={"command_id": st.text(min_size=1, max_size=130) | anything, "x": anything},
)


def connected() -> Connection:
    connection = dialect_for({}).connect(Handshake("a.1", {}, {}, "anonymous", "e"))
    assert connection.opened(NOW) == ()
    return connection


def answered(connection: Connection, outputs: tuple[Output, ...] | Any, position: int = 7) -> list[dict[str, Any]]:
    """What is written for it, when the shell does what it is told."""
    written: list[dict[str, Any]] = []
    for output in outputs:
        match output:
            case Write(body):
                written.append(json.loads(body))
            case Tune(topic, after):
                since = position if after is None else min(after, position)
                written += answered(connection, connection.tuned(topic, since, NOW))
            case Untune():
                pass
            case _:
                assert isinstance(output, Tell)
    return written


def subscribe(channel: str, **more: Any) -> str:
    return json.dumps({"type": "subscribe", "payload": {"channel": channel, **more}})


@given(st.lists(st.text() | st.binary() | frames.map(lambda it: json.dumps(it)), max_size=6))
@settings(max_examples=300)
def test_every_frame_gets_one_answer_or_is_one_command(sent: list[str | bytes]) -> None:
    connection = connected()
    for frame in sent:
        outputs = connection.received(frame, NOW)
        written = answered(connection, outputs)
        commands = [output for output in outputs if isinstance(output, Tell)]
        assert len(written) + len(commands) == 1
        for tell in commands:
            assert connection.settled(tell, DONE, NOW) == ()
        for answer in written:
            assert answer["type"] in {"subscribed", "unsubscribed", "error"}
            assert answer["type"] != "error" or answer["payload"]["code"] in CODES


@given(st.text(min_size=1, max_size=256).filter(lambda it: it not in RESERVED), st.dictionaries(st.text(), anything))
def test_what_is_published_is_told_as_it_is(channel: str, payload: dict[str, Any]) -> None:
    frame = msgspec.json.encode({"type": channel, "payload": payload, "command_id": "c"}).decode()
    content = msgspec.json.decode(frame)["payload"]
    assert connected().received(frame, NOW) == (Tell(stream_of(channel), Publish(channel, content), "c"),)
    record = Recorded(5, stream_of(channel), 2, Published(channel, content), Stamp("c", NOW))
    plain, enveloped = CHANNELS.topics(record)
    shown, numbered = CHANNELS.render_wide(record, plain), CHANNELS.render_wide(record, enveloped)
    assert shown is not None
    assert numbered is not None
    assert msgspec.json.decode(shown.body) == {"type": channel, "payload": content}
    assert msgspec.json.decode(numbered.body) == {"type": channel, "payload": content, "position": 5}
    assert shown.to is numbered.to is Reach.OTHERS


@given(st.lists(st.tuples(st.sampled_from("AB"), st.sampled_from(["sub", "sub+", "un", "pub"]), st.sampled_from("xy"))))
def test_however_they_subscribe_and_publish_the_subscribed_hear_the_others_in_order(
    steps: list[tuple[str, str, str]],
) -> None:
    stage, subscribed, expected = Stage(dialect_for, Category.CHANNEL, "", ""), set[tuple[str, str]](), list[Any]()
    heard: dict[str, list[Any]] = {"A": [], "B": []}
    stage.connect("A", "")
    stage.connect("B", "")
    for number, (who, what, channel) in enumerate(steps):
        match what:
            case "pub":
                stage.send(who, json.dumps({"type": channel, "payload": {"n": number}}))
                expected += [(other, number) for other in "AB" if other != who and (other, channel) in subscribed]
            case "un":
                stage.send(who, json.dumps({"type": "unsubscribe", "payload": {"channel": channel}}))
                subscribed.discard((who, channel))
            case _:
                stage.send(who, subscribe(channel, envelope=what == "sub+"))
                subscribed.add((who, channel))
    for who, client in stage.clients.items():
        frames = [json.loads(body) for body in client.got if isinstance(body, bytes)]
        heard[who] = [frame["payload"]["n"] for frame in frames if "n" in frame["payload"]]
    assert heard == {who: [number for other, number in expected if other == who] for who in "AB"}


def test_a_connection_has_a_greatest_number_of_subscriptions() -> None:
    connection = connected()
    for n in range(MAX_SUBSCRIPTIONS):
        answered(connection, connection.received(subscribe(f"c{n}"), NOW))
    [refused] = answered(connection, connection.received(subscribe("one more"), NOW))
    assert (refused["payload"]["code"], refused["payload"]["channel"]) == ("busy", "one more")
    [again] = answered(connection, connection.received(subscribe("c0"), NOW))
    assert again["type"] == "subscribed"
    connection.received('{"type":"unsubscribe","payload":{"channel":"c0"}}', NOW)
    [answer] = answered(connection, connection.received(subscribe("one more"), NOW))
    assert answer["type"] == "subscribed"


def test_subscriptions_that_wait_for_the_shell_are_answered_each_for_its_own() -> None:
    connection = connected()
    first, second = (connection.received(subscribe("a", since=n, envelope=True), NOW) for n in (1, 9))
    one, two = answered(connection, (*first, *second))
    assert (one["payload"]["position"], one["payload"]["recovered"]) == (1, True)
    assert (two["payload"]["position"], two["payload"]["recovered"]) == (7, False)


def test_changing_to_the_envelope_leaves_the_plain_topic() -> None:
    connection = connected()
    answered(connection, connection.received(subscribe("a"), NOW))
    assert connection.received(subscribe("a", envelope=True), NOW) == (
        Untune("channel:a"),
        Tune("channel+position:a", None),
    )


def test_publishing_that_worked_is_not_answered_and_leaving_tells_nobody() -> None:
    connection = connected()
    tell = Tell(stream_of("a"), Publish("a", {}))
    assert connection.settled(tell, Accepted((), None, 2), NOW) == ()
    assert connection.settled(tell, Accepted((), None, 2, repeated=True), NOW) == ()
    assert connection.recalled(stream_of("a"), None, 1, NOW) == ()
    assert connection.closed(NOW) == ()


def told(connection: Connection, channel: str) -> Tell:
    [tell] = connection.received(json.dumps({"type": channel, "payload": {}}), NOW)
    assert isinstance(tell, Tell)
    return tell


def leave(channel: str) -> str:
    return json.dumps({"type": "unsubscribe", "payload": {"channel": channel}})


DONE = Accepted((), None, 2)


def test_unsubscribed_is_said_when_all_that_was_published_before_is_in_the_log() -> None:
    connection = connected()
    first, second = told(connection, "a"), told(connection, "b")
    assert connection.received(leave("ping"), NOW) == ()
    later = told(connection, "a")
    assert connection.settled(second, DONE, NOW) == ()
    [answer] = answered(connection, connection.settled(first, DONE, NOW))
    assert answer == {"type": "unsubscribed", "payload": {"channel": "ping", "message": "unsubscribed"}}
    assert connection.settled(later, DONE, NOW) == ()


def test_what_could_not_be_published_is_told_before_unsubscribed() -> None:
    connection = connected()
    tell = told(connection, "a")
    assert connection.received(leave("a"), NOW) == ()
    error, answer = answered(connection, connection.settled(tell, Busy(0.5), NOW))
    assert (error["payload"]["code"], answer["type"]) == ("busy", "unsubscribed")


def test_whatever_is_asked_behind_a_receipt_is_answered_behind_it() -> None:
    connection = connected()
    first = told(connection, "a")
    asked = [leave("a"), subscribe("a"), "nonsense", leave("b")]
    assert [connection.received(frame, NOW) for frame in asked[:2]] == [(), ()]
    second = told(connection, "a")
    assert [connection.received(frame, NOW) for frame in asked[2:]] == [(), ()]
    assert connection.throttled(1.0, NOW) == ()
    one = answered(connection, connection.settled(first, DONE, NOW))
    two = answered(connection, connection.settled(second, DONE, NOW))
    assert [answer["type"] for answer in one] == ["unsubscribed", "subscribed", "error"]
    assert [answer["type"] for answer in two] == ["unsubscribed", "error"]
    [answer] = answered(connection, connection.received(leave("a"), NOW))
    assert answer["type"] == "unsubscribed"


def test_who_asks_on_and_on_while_nothing_gets_into_the_log_is_closed() -> None:
    connection = connected()
    told(connection, "a")
    for _ in range(MAX_HELD):
        assert connection.received(leave("a"), NOW) == ()
    assert connection.received(leave("a"), NOW) == (TRY_AGAIN,)


def test_only_what_is_published_is_shown() -> None:
    opened = Recorded(1, stream_of("a"), 1, ChannelOpened("a"), Stamp("c", NOW))
    published = Recorded(2, stream_of("a"), 2, Published("a", {"n": 1}), Stamp("c", NOW))
    assert CHANNELS.topics(opened) == ()
    assert CHANNELS.render(opened, None) is None
    assert CHANNELS.render(published, None) == CHANNELS.render_wide(published, "channel:a")
    assert CHANNELS.farewell(published, None) is None


def test_it_is_spoken_at_the_root_and_at_a_path_of_its_own() -> None:
    assert [endpoint.path for endpoint in endpoints({})] == ["/", "/ws/channels"]
    assert {endpoint.dialect_for({}).name for endpoint in endpoints({})} == {"channels"}


def test_a_question_goes_to_its_thread_and_without_one_to_the_connections_own() -> None:
    connection = dialect_for({}).connect(Handshake("a.1", {}, {}, "anonymous", "e", "0001"))
    [named] = connection.received('{"type":"ask","payload":{"channel":"c","thread_id":"t","message":"Hi"}}', NOW)
    [own] = connection.received('{"type":"ask","payload":{"channel":"c","message":"Hi"},"command_id":"x"}', NOW)
    assert named == Tell(StreamName("conversation-t"), Ask("c", "a.1.1.q", "a.1.1.a", "Hi"), None)
    assert own == Tell(StreamName("conversation-0001"), Ask("c", "a.1.2.q", "a.1.2.a", "Hi"), "x")


def test_a_thread_with_too_many_questions_is_busy() -> None:
    refused = Refused(Rejected("busy", "16 messages are waiting for their answer", 1.0))
    tell = Tell(StreamName("conversation-t"), Ask("c", "q", "a", "Hi"))
    [error] = answered(connected(), connected().settled(tell, refused, NOW))
    assert (error["payload"]["code"], error["payload"]["retry_after"]) == ("busy", 1.0)
