"""Every request that changes something can be sent again with its key: it changes nothing, and is answered alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import trio

from adapters import bootstrap
from adapters.config import from_environment
from tests.adapters.whole import Whole, serving

MIGRATE = "/api/v2/conversations/migrate"
FORK, CONTINUE = (f"/api/audit/streams/<id>/{what}" for what in ("fork", "continue"))
COMMANDS = "/api/console/streams/<id>/commands"
CHANGING: dict[tuple[str, str], Any] = {
    ("POST", "/api/v2/conversations"): {},
    ("POST", "/api/v2/conversations/<id>/messages"): {"content": "Hello"},
    ("PUT", "/api/v2/conversations/<id>/end"): {},
    ("POST", MIGRATE): {},
    ("POST", "/api/conversations/<id>/state"): {"state": "listening"},
    ("POST", "/api/conversations/<id>/transcript"): {"final_transcript": "hello"},
    ("POST", "/api/conversations/<id>/ai-response"): {"content": "Hello."},
    ("POST", "/api/conversation"): {"message": "Hello"},
    ("POST", "/api/test/conversations"): {},
    ("POST", "/api/test/conversations/<id>/message"): {"content": "Hello"},
    ("POST", "/api/test/conversations/<id>/speech"): {"text": "Hello world"},
    ("POST", FORK): {"at": 1},
    ("POST", CONTINUE): {},
    ("POST", COMMANDS): {"name": "conversation.say", "body": {"content": "Hello"}},
    ("POST", "/webhook"): {"event": "call_started", "call": {"call_id": "c1"}},
}
CHANGES_NOTHING = {("POST", "/token"), ("POST", "/api/audit/subjects/<id>/forget")}
"""Nothing that a second time could do again: what is forgotten is forgotten, with a key or without."""
MOMENTARY = {"timestamp", "processing_time_ms", "success", "current_state", "websocket_updates"}
"""What an answer says of its own moment."""
Answers = dict[tuple[str, str], Any]


async def ask_all(
    server: Whole, bodies: Mapping[tuple[str, str], Any], id_of: Mapping[Any, str]
) -> tuple[Answers, str]:
    """Each route's answer, all asked at one time with a key of its own; and where the log ends then."""
    answers: Answers = {}

    async def ask(method: str, path: str, body: Any) -> None:
        headers, place = {"Idempotency-Key": f"key of {path}"}, path.replace("<id>", id_of[method, path])
        answer = await server.http.request(method, place, json=body, headers=headers, timeout=20)
        assert answer.status_code == 200, (path, answer.text)
        answers[method, path] = {name: value for name, value in answer.json().items() if name not in MOMENTARY}

    async with trio.open_nursery() as nursery:
        for (method, path), body in bodies.items():
            nursery.start_soon(ask, method, path, body)
    end = re.search(r"callboard_log_position (\S+)", (await server.http.get("/metrics")).text)
    assert end is not None
    return answers, end[1]


async def forked(server: Whole, id: str) -> str:
    """A fork of the conversation, which went on with two messages."""
    for content in ("Hello", "Good-bye"):
        await server.http.post(f"/api/v2/conversations/{id}/messages", json={"content": content})
    answer = await server.http.post(f"/api/audit/streams/conversation-{id}/fork", json={"at": 1})
    return str(answer.json()["stream"])


async def test_what_is_sent_again_with_its_key_changes_nothing() -> None:
    async with serving() as server:
        legacy = (await server.http.post("/api/conversation", json={"message": "Hi"})).json()["session_id"]
        bodies = {**CHANGING, ("POST", MIGRATE): {"session_id": legacy}}
        id_of = {route: await server.opened() for route in bodies}
        for path in (FORK, COMMANDS):
            id_of["POST", path] = f"conversation-{id_of['POST', path]}"
        id_of["POST", CONTINUE] = await forked(server, id_of["POST", CONTINUE])
        first, again = [await ask_all(server, bodies, id_of) for _ in range(2)]
        assert first == again


async def test_no_route_that_changes_something_is_forgotten_here() -> None:
    async with bootstrap.open_unserved(from_environment({}, {})) as app:
        routes = {
            (method, re.sub(r"<[^>]*>", "<id>", rule.rule))
            for rule in app.url_map.iter_rules()
            for method in {"POST", "PUT", "PATCH"}.intersection(rule.methods or ())
        }
    assert routes == CHANGING.keys() | CHANGES_NOTHING
