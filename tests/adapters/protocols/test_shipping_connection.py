"""What the dialogues cannot show: the way in when things come in another order, and what is bounded."""

from __future__ import annotations

import json
from typing import Any

from adapters.protocols.shipping.connection import FLOODED, MAX_HELD, MAX_WAITING, ShippingConnection
from adapters.protocols.shipping.dialect import ShippingDialect, endpoints
from core.decider import Rejected
from core.dialect import Handshake, Hear, Listen, Tell, Write
from core.identifiers import Category, StreamName
from core.messages import Accepted, Refused
from core.session import ExpireSession, JoinDevice, LeaveDevice, OpenSession, Session
from tests.dialogues.shipping_stage import ShippingStage

HOUR = 3_600_000_000
NEW = StreamName.of(Category.SESSION, "new")
OLD = StreamName.of(Category.SESSION, "old")
ANNS = Session("ann", {"username": "ann"}, "shipping", 1, 1, 1, HOUR)
PING = '{"type": "ping"}'
SHARE = '{"type": "get_session_state", "broadcast": true}'


def connection(**query: str) -> ShippingConnection:
    return ShippingDialect(HOUR).connect(Handshake("b.1", {}, query, "ann", "epoch", "new"))


def told(outputs: Any, kind: type) -> Tell:
    [tell] = [output for output in outputs if isinstance(output, Tell) and isinstance(output.command, kind)]
    return tell


def frames(outputs: Any) -> list[dict[str, Any]]:
    return [json.loads(output.body) for output in outputs if isinstance(output, Write)]


def test_without_a_session_one_is_opened_for_the_principal() -> None:
    opening = told(connection().opened(5), OpenSession)
    assert opening == Tell(NEW, OpenSession("ann", "shipping", 5, HOUR, {"username": "ann"}))


def test_it_listens_before_it_joins_and_hears_from_its_own_join_on() -> None:
    one = connection()
    outputs = one.opened(5)
    listen, join = outputs[-2:]
    assert (listen, join) == (Listen(NEW), Tell(NEW, JoinDevice("b.1", "ann", "shipping", 5)))
    assert isinstance(join, Tell)
    assert one.settled(join, Accepted((), ANNS, 2), 6) == (Hear(NEW, ANNS, 2),)


def test_a_named_session_is_looked_at_before_anything_is_listened_to() -> None:
    assert connection(session_id="old").opened(5) == (Tell(OLD, ExpireSession(5)),)


def test_somebody_elses_an_expired_one_another_dialects_and_none_lead_to_a_new_one() -> None:
    for outcome in (
        Accepted((), Session("bob", {}, "shipping", 1, 1, 1, HOUR), 3),
        Accepted((), Session("ann", {}, "shipping", 1, 1, 1, HOUR, expired=True), 3),
        Accepted((), Session("ann", {}, "streams", 1, 1, 1, HOUR), 3),
        Refused(Rejected("session_not_found", "Session not found")),
    ):
        one = connection(session_id="old")
        (look,) = one.opened(5)
        assert isinstance(look, Tell)
        outputs = one.settled(look, outcome, 6)
        assert Listen(OLD) not in outputs
        assert told(outputs, OpenSession).stream == NEW


def test_a_session_that_expires_between_the_look_and_the_join_leads_to_a_new_one() -> None:
    one = connection(session_id="old")
    join = told(one.settled(told(one.opened(5), ExpireSession), Accepted((), ANNS, 2), 6), JoinDevice)
    assert join.stream == OLD
    outputs = one.settled(join, Refused(Rejected("session_expired", "The session has expired")), 7)
    assert told(outputs, OpenSession).stream == NEW


def test_what_comes_before_the_join_is_answered_behind_it_in_order() -> None:
    one = connection()
    join = told(one.opened(5), JoinDevice)
    assert one.received('{"type": "ping", "requestId": "1"}', 6) == ()
    assert one.throttled(0.5, 6) == ()
    assert one.received('{"type": "nonsense", "requestId": "2"}', 6) == ()
    hear, *answers = one.settled(join, Accepted((), ANNS, 2), 7)
    assert isinstance(hear, Hear)
    assert [frame["type"] for frame in frames(answers)] == ["pong", "error", "error"]
    assert {frame["session_id"] for frame in frames(answers)} == {"new"}


def test_more_than_may_wait_is_answered_busy_and_much_more_is_closed() -> None:
    one = connection()
    join = told(one.opened(5), JoinDevice)
    for _ in range(MAX_HELD + 1):
        assert one.received(PING, 6) == ()
    answers = frames(one.settled(join, Accepted((), ANNS, 2), 7))
    assert [frame["type"] for frame in answers] == ["pong"] * MAX_HELD + ["error"]
    assert answers[-1]["payload"]["retry_after"] == 1.0
    two = connection()
    two.opened(5)
    outputs = [two.received(PING, 6) for _ in range(MAX_WAITING + 1)]
    assert outputs[-1] == (FLOODED,)
    assert two.received(PING, 7) == ()


def test_who_leaves_leaves_the_session_also_before_the_join_is_settled() -> None:
    one = connection()
    one.opened(5)
    assert one.closed(6) == (Tell(NEW, LeaveDevice("b.1", 6)),)
    two = connection(session_id="old")
    (look,) = two.opened(5)
    assert two.closed(6) == ()
    assert isinstance(look, Tell)
    assert two.settled(look, Accepted((), ANNS, 2), 7) == ()


def test_request_ids_nobody_chose_are_uuids_of_their_own_and_the_same_each_time() -> None:
    ids = []
    for _ in range(2):
        one = connection()
        join = told(one.opened(5), JoinDevice)
        one.settled(join, Accepted((), ANNS, 2), 6)
        ids.append([frames(one.received(PING, 7))[0]["requestId"] for _ in range(3)])
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 3


def test_who_comes_back_is_shown_a_shared_state_as_it_was_then_and_sharing_it_is_no_activity() -> None:
    stage = ShippingStage()
    stage.connect("A", "")
    session_id = stage.session_of("A").stream.id
    stage.connect("B", f"?session_id={session_id}")
    for frame in (SHARE, SHARE, '{"type": "contextual_update", "text": "hello"}', SHARE):
        stage.send("A", frame)
    seen = {who: list(stage.clients[who].got) for who in "AB"}
    stage.connect("B", f"?session_id={session_id}&since=3&epoch={stage.epoch}")
    first, second, _, third = (json.loads(body) for body in seen["B"] if isinstance(body, bytes))
    assert first["state"] == second["state"]
    assert third["state"]["last_active"] > second["state"]["last_active"]
    assert list(stage.clients["B"].got) == seen["B"]
    assert [body for body in seen["A"] if body in seen["B"]] == seen["B"]


def test_it_is_spoken_at_ws_with_the_age_the_server_names() -> None:
    (endpoint,) = endpoints({"session_max_age": "1.5"})
    dialect = endpoint.dialect_for({})
    assert endpoint.path == "/ws"
    assert dialect is endpoint.dialect_for({"session_id": "x"})
    opening = told(dialect.connect(Handshake("b.1", {}, {}, "ann", "e", "new")).opened(1), OpenSession)
    assert opening.command.max_age == 1_500_000
