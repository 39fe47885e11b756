"""The setting that logs every message."""

from __future__ import annotations

import json
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

import structlog
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from adapters import logs
from adapters.server.messages import messages_in, text_frame
from adapters.web.logged_socket import MOST_SHOWN
from tests.adapters.whole import Whole, heard, say, serving

CONFIG = '{"response_type":"config","config":{"auto_reconnect":true,"call_details":true}}'
PING = {"interaction_type": "ping_pong", "timestamp": 5}


async def one_ping(server: Whole) -> None:
    async with server.connect("/ws-default/c1") as socket:
        await heard(socket)
        await say(socket, PING)
        await heard(socket)


def messages(records: list[Any]) -> list[tuple[str, str]]:
    return [(record["event"], record["message"]) for record in records if "message" in record]


async def test_every_message_of_a_call_is_logged_in_its_order_with_who_sent_it_and_its_size() -> None:
    with capture_logs() as records:
        async with serving(CALLBOARD_LOG_MESSAGES="yes") as server:
            await one_ping(server)
    assert messages(records) == [
        ("a message leaves", CONFIG),
        ("a message came", '{"interaction_type":"ping_pong","timestamp":5}'),
        ("a message leaves", '{"response_type":"ping_pong","timestamp":5}'),
    ]
    first = next(record for record in records if "message" in record)
    assert (first["log_level"], first["dialect"], first["path"]) == ("debug", "retell", {"call_id": "c1"})
    assert first["size"] == len(CONFIG)
    assert first["connection"].endswith(".1")


async def test_no_message_is_logged_unless_it_is_switched_on() -> None:
    with capture_logs() as records:
        async with serving() as server:
            await one_ping(server)
    assert messages(records) == []
    assert "a socket ended" in [record["event"] for record in records]


async def test_what_an_audience_hears_and_what_is_told_again_is_logged_too() -> None:
    with capture_logs() as records:
        async with serving(CALLBOARD_LOG_MESSAGES="yes") as server:
            id = await server.opened()
            async with server.connect(f"/api/ws/conversations/{id}") as socket:
                epoch = (await heard(socket))["epoch"]
                for word in ("one", "two" * 100):
                    await say(socket, {"type": "transcript_update", "payload": {"final_transcript": word}})
                    await socket.frame("transcript_update")
            async with server.connect(f"/api/ws/conversations/{id}?since=2&epoch={epoch}") as socket:
                while (await heard(socket))["type"] != "transcript_update":
                    pass
                await heard(socket)
    left = [json.loads(text) for event, text in messages(records) if event == "a message leaves"]
    said = [frame["payload"]["accumulated_transcript"] for frame in left if frame["type"] == "transcript_update"]
    assert said == ["one", f"one {'two' * 100}"] * 2


async def test_of_a_long_message_the_beginning_is_logged_and_no_secret_of_any() -> None:
    with capture_logs() as records:
        async with serving(CALLBOARD_LOG_MESSAGES="yes") as server, server.connect("/api/stream/ws/s1") as socket:
            await heard(socket)
            await say(socket, {"type": "chat", "message": "x" * 50_000, "api_key": "sk-1"})
            await say(socket, {"api_key": "sk-secret", "type": "ping"})
            await socket.wire.send_message(b'{"token": "sk-bytes"}\xff')
            for _ in range(3):
                await heard(socket)
    came = [record for record in records if record["event"] == "a message came"]
    assert came[0]["size"] > 50_000
    assert MOST_SHOWN <= len(came[0]["message"]) < MOST_SHOWN + 50
    assert "[redacted]" in came[1]["message"]
    assert not any("sk-" in record["message"] for record in came)


def test_records_of_messages_are_written_where_they_are_asked_for() -> None:
    for asked in (True, False):
        out = StringIO()
        with redirect_stderr(out):
            logs.configure(as_json=True, debug=asked)
            structlog.get_logger("callboard.messages").debug("a message came")
        assert bool(out.getvalue()) is asked


@given(st.lists(st.binary(max_size=200) | st.sampled_from([126, 65_535, 65_536]).map(bytes)))
def test_frames_that_were_joined_are_their_messages_again(bodies: list[bytes]) -> None:
    assert list(messages_in(b"".join(map(text_frame, bodies)))) == bodies
