from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json
from quart_trio import QuartTrio

from actors.system import System, open_system
from adapters.clock import SystemClock, TimeOrderedIdentifiers
from adapters.web.answers import Problem
from adapters.web.retell import MOST_AGE, digest_of, fitting, is_signed, retell_blueprint
from core.call import MAX_CONTENT, call
from core.extent import extent
from core.identifiers import Category, StreamName
from eventstore.memory import MemoryStore

KEY = "key_0123456789"
STREAM = StreamName.of(Category.CALL, "c1")
STARTED = json.encode({"event": "call_started", "call": {"call_id": "c1", "from_number": None}})


def signed(body: bytes, key: str = KEY, off: int = 0) -> str:
    stamp = str(int(time.time() * 1000) + off)
    return f"v={stamp},d={digest_of(body, stamp, key)}"


def with_another_end(signature: str) -> str:
    return signature[:-1] + ("0" if signature[-1] != "0" else "1")


@dataclass
class Post:
    """A server with the webhook alone."""

    system: System
    app: QuartTrio

    async def __call__(self, body: bytes, signature: str | None) -> tuple[int, Any]:
        headers = {} if signature is None else {"X-Retell-Signature": signature}
        answer = await self.app.test_client().post("/webhook", data=body, headers=headers)
        return answer.status_code, await answer.get_json()

    async def recorded(self, stream: StreamName = STREAM) -> list[str]:
        events = await self.system.store.read_events(stream)
        return [getattr(event, "event", type(event).__name__) for event in events]


async def posting(key: str | None) -> AsyncIterator[Post]:
    async with open_system(
        MemoryStore(), deciders={Category.CALL: call}, performers={}, clock=SystemClock(),
        identifiers=TimeOrderedIdentifiers(),
    ) as system:  # fmt: skip
        app = QuartTrio(__name__)

        @app.errorhandler(Problem)
        async def problem(error: Problem) -> Any:
            return error.answer()

        app.register_blueprint(retell_blueprint(system, key))
        yield Post(system, app)


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    async for one in posting(KEY):
        yield one


@pytest.fixture
async def open_post() -> AsyncIterator[Post]:
    async for one in posting(None):
        yield one


async def test_a_signed_webhook_is_recorded(post: Post) -> None:
    assert await post(STARTED, signed(STARTED)) == (200, {"received": True})
    assert await post.recorded() == ["call_started"]


async def test_a_repeat_is_one_event(post: Post) -> None:
    for _ in range(3):
        assert await post(STARTED, signed(STARTED)) == (200, {"received": True})
    assert await post.recorded() == ["call_started"]


async def test_the_older_name_of_the_call_is_taken(post: Post) -> None:
    body = json.encode({"event": "call_analyzed", "data": {"call_id": "c1"}})
    assert await post(body, signed(body)) == (200, {"received": True})
    assert await post.recorded() == ["call_analyzed"]


async def test_the_end_of_a_call_is_told_by_webhook(post: Post) -> None:
    body = json.encode({"event": "call_ended", "call": {"call_id": "c1"}})
    assert (await post(body, signed(body)))[0] == 200
    assert await post.recorded() == ["call_ended", "CallEnded"]


@pytest.mark.parametrize(
    "forge",
    [
        lambda: None,
        lambda: "",
        lambda: "v=1,d=2",
        lambda: signed(STARTED, key="another"),
        lambda: signed(STARTED + b" "),
        lambda: signed(STARTED, off=MOST_AGE + 60_000),
        lambda: signed(STARTED, off=-MOST_AGE - 60_000),
        lambda: "x" + signed(STARTED),
        lambda: signed(STARTED) + "\t0",
        lambda: with_another_end(signed(STARTED)),
        lambda: signed(STARTED) + ",d=0",
        lambda: signed(STARTED).replace("v=", "v=0"),
        lambda: signed(STARTED).replace("v=", "v=-"),
    ],
)
async def test_without_a_good_signature_nothing_is_taken(forge: Callable[[], str | None], post: Post) -> None:
    assert await post(STARTED, forge()) == (401, {"message": "Unauthorized"})
    assert await post.recorded() == []


async def test_without_a_key_no_signature_is_asked_for(open_post: Post) -> None:
    assert await open_post(STARTED, None) == (200, {"received": True})
    assert await open_post(STARTED, "nonsense") == (200, {"received": True})
    assert await open_post.recorded() == ["call_started"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"event": 1, "call": {"call_id": "c1"}}',
        b'{"event": "call_started"}',
        b'{"event": "call_started", "call": {}}',
        b'{"event": "call_started", "call": {"call_id": 7}}',
        b'{"event": "call_started", "call": {"call_id": "a b"}}',
        b'{"event": "call_started", "call": {"call_id": "c1", "x": ' + b"[" * 40 + b"]" * 40 + b"}}",
        b'{"event": "call_started", "call": ' + b"[" * 100_000 + b"}",
    ],
)
async def test_what_is_no_webhook_is_unprocessable(body: bytes, post: Post) -> None:
    assert (await post(body, signed(body)))[0] == 422


async def test_of_a_long_call_the_largest_fields_are_left_out_and_the_event_is_kept(post: Post) -> None:
    words = [{"word": "word", "start": 0.1, "end": 0.2}] * 20_000
    fields = {"call_id": "c1", "transcript_object": words, "transcript_with_tool_calls": words, "duration_ms": 9}
    body = json.encode({"event": "call_ended", "call": fields})
    assert (await post(body, signed(body)))[0] == 200
    received, *_ = await post.system.store.read_events(STREAM)
    assert received.call.keys() == {"call_id", "duration_ms", "left_out"}
    assert sorted(received.call["left_out"]) == ["transcript_object", "transcript_with_tool_calls"]


async def test_an_events_name_without_end_is_refused(post: Post) -> None:
    body = json.encode({"event": "x" * 300_000, "call": {"call_id": "c1"}})
    assert (await post(body, signed(body)))[0] == 422


@given(st.dictionaries(st.text(), st.text() | st.integers(0, 300_000).map("x".__mul__), max_size=20))
def test_whatever_a_call_says_what_is_kept_of_it_fits(call: dict[str, Any]) -> None:
    assert extent(fitting({**call, "call_id": "c1"})) <= MAX_CONTENT - 100
    assert fitting({**call, "call_id": "c1"})["call_id"] == "c1"


@given(st.binary(), st.integers(0, 2**50), st.integers(-MOST_AGE, MOST_AGE), st.text(min_size=1))
def test_what_the_platform_signs_is_taken_within_five_minutes(body: bytes, at: int, off: int, key: str) -> None:
    key = key.encode("utf-8", "replace").decode()
    signature = f"v={at},d={digest_of(body, str(at), key)}"
    assert is_signed(body, signature, key, (at + off) * 1000)
    assert not is_signed(body, signature, key, (at + MOST_AGE + 1) * 1000)
    assert not is_signed(body + b"x", signature, key, at * 1000)


@given(st.text())
def test_no_text_but_a_signature_is_one(signature: str) -> None:
    assert not is_signed(STARTED, signature, KEY, 0)
