"""What the server under the framework must bear: anybody may send anything, and nobody else is to notice.

Each test drives a real `callboard serve` by raw sockets, as well-behaved clients would hide what is tested.
"""

from __future__ import annotations

import random
from contextlib import AsyncExitStack, suppress

import pytest
import trio

from tests.adapters.server.conftest import HANDSHAKE_DEADLINE, Running
from tests.adapters.server.process import ServerProcess, until
from tests.adapters.server.raw import KEY, PATIENCE, Answer, Gone, Wire, close, handshake, heartbeat, request, speech

GARBAGE = random.Random(7).randbytes(1500)

HTTP_2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
GET_ROOT = b"\x00\x00\x06\x01\x05\x00\x00\x00\x01" + b"\x82\x86\x84\x41\x01x"
LATE_DATA = b"\x00\x00\x04\x00\x00\x00\x00\x00\x01late"
"""A DATA frame of a stream that its HEADERS frame has ended already."""
H2C = "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"
WS = "/api/ws/conversations/0190a1b2-0000-7000-8000-000000000000"

# What comes in, and with what it may be answered; None where it may also be cut off without an answer.
ODD: dict[str, tuple[bytes, set[int | None]]] = {
    "http2_preface": (HTTP_2, {400, 505, None}),
    "http2_preface_split": (HTTP_2[:10], {None, 400, 408, 505}),
    "http2_late_data": (HTTP_2 + SETTINGS + GET_ROOT + LATE_DATA, {400, 505, None}),
    "h2c_upgrade": (request("/health", *H2C), {200, 400, 426, 505}),
    "h2c_upgrade_and_late_data": (request("/health", *H2C) + HTTP_2 + SETTINGS + LATE_DATA, {200, 400, 426, 505}),
    "no_upgrade_header": (handshake(WS, "Upgrade"), {400, 404, 426}),
    "empty_upgrade_header": (handshake(WS, "Upgrade:"), {400, 404, 426}),
    "upgrade_to_something_else": (handshake(WS, "Upgrade: carrier-pigeon"), {400, 404, 426}),
    "no_connection_header": (handshake(WS, "Connection"), {400, 404, 426}),
    "no_key": (handshake(WS, "Sec-WebSocket-Key"), {400, 426}),
    "empty_key": (handshake(WS, "Sec-WebSocket-Key:"), {400, 426}),
    "two_keys": (handshake(WS, f"Sec-WebSocket-Key: {KEY}", f"Sec-WebSocket-Key: {KEY}"), {400}),
    "no_version": (handshake(WS, "Sec-WebSocket-Version"), {400, 426}),
    "old_version": (handshake(WS, "Sec-WebSocket-Version: 8"), {400, 426}),
    "version_of_words": (handshake(WS, "Sec-WebSocket-Version: thirteen"), {400, 426}),
    "odd_bytes_in_the_version": (handshake(WS, "Sec-WebSocket-Version: \xff"), {400, 426}),
    "odd_bytes_in_the_subprotocol": (handshake(WS, "Sec-WebSocket-Protocol: \xfe, b\xe9"), {400, 101}),
    "odd_bytes_in_the_extensions": (handshake(WS, "Sec-WebSocket-Extensions: \xff;;=,\xfe"), {400, 101}),
    "odd_bytes_in_the_upgrade": (handshake(WS, "Upgrade: webs\xf6cket"), {400, 404, 426}),
    "odd_bytes_in_the_connection": (handshake(WS, "Connection: \xffpgrade"), {400, 404, 426}),
    "a_handshake_by_post": (handshake(WS, method="POST"), {400, 404, 405, 426}),
    "a_handshake_of_http_1.0": (handshake(WS, version="HTTP/1.0"), {400, 404, 426, 505}),
    "a_handshake_of_http_1.0_without_host": (handshake(WS, "Host", version="HTTP/1.0"), {400, 404, 426, 505}),
    "a_handshake_with_a_body": (handshake(WS, "Content-Length: 5") + b"hello", {400, 101}),
    "a_handshake_with_chunks": (handshake(WS, "Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n", {400, 101}),
    "a_socket_nobody_serves": (handshake("/nowhere"), {403, 404}),
    "no_host": (b"GET /health HTTP/1.1\r\n\r\n", {400}),
    "two_hosts": (request("/health", "Host: another"), {400}),
    "odd_bytes_in_the_host": (request("/health", host="l\xf6cal"), {400, 200}),
    "odd_bytes_in_a_host_with_brackets": (request("/health", host="[::1"), {400, 200}),
    "odd_bytes_in_the_path": (request("/\xff\xfe"), {400, 404}),
    "odd_bytes_escaped_in_the_path": (request("/%ff%fe%00/%"), {400, 404}),
    "odd_bytes_in_a_sockets_path": (handshake("/api/ws/conversations/\xff\x80"), {400, 404, 101}),
    "odd_bytes_escaped_in_a_sockets_path": (handshake("/api/ws/conversations/%ff%00%ed%a0%80"), {400, 404, 101}),
    "odd_bytes_in_the_query": (handshake(WS + "?since=\xff&epoch=%ff%fe&&&=="), {400, 101}),
    "a_space_in_the_path": (request("/he alth"), {400, 404}),
    "a_path_without_a_slash": (request("health"), {200, 400, 404}),
    "a_path_of_slashes": (request("//////"), {400, 404, 308}),
    "no_path_at_all": (request("?nowhere"), {400, 404}),
    "a_host_of_a_long_label": (request("/health", host="a" * 3000), {400, 200}),
    "a_host_that_almost_is_one": (request("/health", host="a" * 60 + "!"), {400, 200}),
    "a_sockets_host_of_a_long_label": (handshake(WS, "Host: " + "a" * 3000), {400, 404, 101}),
    "a_whole_url": (request("http://elsewhere:99999/health"), {200, 400, 404}),
    "a_broken_url": (request("http://[::1/health"), {400, 404}),
    "an_asterisk": (request("*", method="OPTIONS"), {200, 204, 400, 404, 405}),
    "connect": (request("localhost:1", method="CONNECT"), {400, 404, 405}),
    "an_unknown_method": (request("/health", method="FROB"), {400, 405}),
    "a_long_path": (request("/" + "a" * 200_000), {400, 404, 413, 414, 431}),
    "many_headers": (request("/health", *["X: y"] * 50_000), {400, 431}),
    "a_header_without_a_colon": (request("/health", "nonsense"), {400}),
    "a_zero_byte_in_a_header": (request("/health", "X: a\x00b"), {400}),
    "a_length_that_is_none": (request("/api/v2/conversations", "Content-Length: -5", method="POST"), {400}),
    "two_lengths": (request("/health", "Content-Length: 5", "Content-Length: 6"), {400}),
    "a_broken_chunk": (
        request("/api/v2/conversations", "Transfer-Encoding: chunked", method="POST") + b"zz\r\n",
        {400, None},
    ),
    "a_frame_without_a_handshake": (heartbeat("1"), {400, None}),
    "a_tls_hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + GARBAGE, {400, None}),
    "garbage": (GARBAGE, {400, None}),
    "garbage_in_lines": (b"\r\n".join(GARBAGE.split(b"\n")) + b"\r\n\r\n", {400, None}),
    "garbage_after_a_request": (request("/health") + GARBAGE, {200}),
    "empty_lines": (b"\r\n" * 100, {400, 408, None}),
}


async def answered(wire: Wire, sent: bytes) -> Answer | None:
    """What comes back, also where it comes before all is sent."""
    with suppress(Gone):
        await wire.send(sent)
    try:
        return await wire.answer()
    except Gone:
        return None


@pytest.mark.parametrize("name", ODD)
async def test_what_is_odd_gets_a_proper_answer_and_nobody_else_notices(server: ServerProcess, name: str) -> None:
    sent, statuses = ODD[name]
    async with server.talk(await server.opened()) as bystander, server.connect() as odd:
        answer = await answered(odd, sent)
        assert (answer and answer.status) in statuses
        assert "Traceback" not in (answer.body.decode() if answer else "")
        await server.answers(bystander, name)


async def test_frames_of_http_2_after_an_answered_upgrade_end_that_connection_alone(server: ServerProcess) -> None:
    async with server.talk(await server.opened()) as bystander, server.connect() as odd:
        await odd.send(request("/health", *H2C))
        assert (await odd.answer()).status != 101
        try:
            for late in (HTTP_2, SETTINGS, GET_ROOT, LATE_DATA, LATE_DATA):
                await odd.send(late)
                await server.answers(bystander, repr(late))
        except Gone:
            pass
        await odd.gone()
        await server.answers(bystander, "after")


async def test_frames_that_come_in_one_piece_with_the_handshake_are_heard(server: ServerProcess) -> None:
    id = await server.opened()
    async with server.connect() as wire:
        await wire.send(handshake(f"/api/ws/conversations/{id}"), heartbeat("first"), heartbeat("second"))
        assert (await wire.answer()).status == 101
        told = [await wire.told("heartbeat_response") for _ in range(2)]
        assert [frame["command_id"] for frame in told] == ["first", "second"]


@pytest.mark.parametrize("late", [heartbeat("early") * 3000, b"\xff" * 100_000, b"GET / HTTP/1.1\r\n\r\n" * 5000])
async def test_who_does_not_wait_for_the_answer_to_its_handshake_harms_itself_alone(
    server: ServerProcess, late: bytes
) -> None:
    """More than is read at a time, so that some of it comes between the handshake and its answer."""
    id = await server.opened()
    async with server.talk(id) as bystander:
        for _ in range(10):
            async with server.connect() as wire:
                await answered(wire, handshake(f"/api/ws/conversations/{id}") + late)
        await server.answers(bystander, "served")
        await server.down_to(1, id)


async def test_a_handshake_and_frames_that_come_byte_by_byte_are_heard(server: ServerProcess) -> None:
    id = await server.opened()
    async with server.connect() as wire:
        for byte in handshake(f"/api/ws/conversations/{id}"):
            await wire.send(bytes([byte]))
        assert (await wire.answer()).status == 101
        for byte in heartbeat("slowly"):
            await wire.send(bytes([byte]))
        assert (await wire.told("heartbeat_response"))["command_id"] == "slowly"


async def test_requests_in_one_connection_are_answered_in_their_order(server: ServerProcess) -> None:
    id = await server.opened()
    async with server.connect() as wire:
        await wire.send(request("/health"), request("/nowhere"), handshake(f"/api/ws/conversations/{id}"))
        assert [(await wire.answer()).status for _ in range(3)] == [200, 404, 101]
        await wire.told("state_update")


# --- those who are slow to say what they want ---

SLOW = {
    "nothing": b"",
    "half_a_handshake": handshake(WS)[:60],
    "half_the_preface": HTTP_2[:12],
    "empty_lines": b"\r\n\r\n",
}


@pytest.mark.parametrize("said", SLOW)
async def test_who_does_not_say_what_it_wants_is_cut_off_at_the_deadline(server: ServerProcess, said: str) -> None:
    async with server.connect() as slow:
        began = trio.current_time()
        if SLOW[said]:
            await slow.send(SLOW[said])
        await slow.gone()
        assert trio.current_time() - began < HANDSHAKE_DEADLINE + 1


async def dribble(wire: Wire, whole: bytes) -> None:
    """A byte every now and then, always soon enough to look alive, never enough to get anywhere."""
    try:
        for byte in whole:
            await wire.send(bytes([byte]))
            await trio.sleep(0.05)
    except Gone:
        pass


async def test_a_handshake_that_trickles_is_cut_off_at_the_deadline(server: ServerProcess) -> None:
    whole = handshake(WS, "X-Long: " + "x" * 500)
    async with server.connect() as slow, trio.open_nursery() as nursery:
        began = trio.current_time()
        nursery.start_soon(dribble, slow, whole)
        await slow.gone()
        assert trio.current_time() - began < HANDSHAKE_DEADLINE + 1
        nursery.cancel_scope.cancel()


async def test_a_second_request_that_trickles_is_cut_off_too(server: ServerProcess) -> None:
    async with server.connect() as slow, trio.open_nursery() as nursery:
        await slow.send(request("/health"))
        assert (await slow.answer()).status == 200
        began = trio.current_time()
        nursery.start_soon(dribble, slow, handshake(WS, "X-Long: " + "x" * 500))
        await slow.gone()
        assert trio.current_time() - began < HANDSHAKE_DEADLINE + 1
        nursery.cancel_scope.cancel()


async def test_many_who_trickle_keep_nobody_out(server: ServerProcess) -> None:
    before = server.sockets
    async with trio.open_nursery() as nursery:

        async def trickle() -> None:
            async with server.connect() as slow:
                await slow.send(b"GET /health HTTP/1.1\r\nX: ")
                await slow.gone()

        for _ in range(200):
            nursery.start_soon(trickle)
        await until(lambda: server.sockets >= before + 150, 3)
        async with server.talk(await server.opened()) as wire:
            assert await server.answers(wire, "served") < 1
    await until(lambda: server.sockets <= before, 3)


async def test_a_slow_answer_is_waited_for(running: Running) -> None:
    """Deadlines of sockets are not those of an answer that takes its time, here twice as long as any of them."""
    server = running(CALLBOARD_SILENCE_LIMIT="1")
    id = await server.opened()
    body = {"content": "hello", "simulate_processing_delay": True, "delay_seconds": 2.5}
    answer = await server.call("POST", f"/api/test/conversations/{id}/message", body, within=8)
    assert answer["message_processed"]


async def test_a_quiet_event_stream_stays_open(running: Running) -> None:
    server = running(CALLBOARD_SILENCE_LIMIT="1")
    id = await server.opened()
    async with server.connect() as reader:
        await reader.send(request("/api/log/stream"))
        assert (await reader.answer()).status == 200
        await trio.sleep(2.5)
        async with server.talk(id) as wire:
            await wire.send(speech(word="still there"))
            await wire.told("speech_event")
        with trio.fail_after(2):
            seen = b""
            while b"still there" not in seen:
                seen += await reader.stream.receive_some(65536) or pytest.fail("the stream has ended")


# --- how many ---


async def test_a_crowd_that_comes_while_the_server_is_busy_is_not_turned_away(server: ServerProcess) -> None:
    """The kernel holds 1024 connections for us; with the usual 100 most of these would wait for seconds."""
    await server.call("GET", "/health")
    server.pause()
    try:
        async with trio.open_nursery() as nursery:
            came, asked = 0, trio.Event()

            async def come() -> None:
                nonlocal came
                async with server.connect() as wire:
                    came += 1
                    await asked.wait()
                    await wire.send(request("/health"))
                    assert (await wire.answer()).status == 200

            for _ in range(700):
                nursery.start_soon(come)
            await until(lambda: came == 700, 3, "all are connected")
            server.resume()
            asked.set()
    finally:
        server.resume()


async def test_one_socket_too_many_is_accepted_and_told_so(running: Running) -> None:
    server = running(CALLBOARD_MAX_CONNECTIONS="3")
    id = await server.opened()
    async with server.talk(id) as first, server.talk(id), server.talk(id):
        async with server.connect() as fourth:
            assert (await fourth.shake(f"/api/ws/conversations/{id}")).status == 101
            assert (await fourth.closed()).code == 1013
            await fourth.send(close(1013))
            await fourth.gone()
        await server.answers(first, "served")
        assert await server.clients(id) == 3
        await first.send(close())
        await first.gone()
        await server.down_to(2, id)
        async with server.talk(id) as next_one:
            await server.answers(next_one, "in the place of the first")


async def test_places_are_given_back_however_a_socket_ends(running: Running) -> None:
    server = running(CALLBOARD_MAX_CONNECTIONS="3")
    id = await server.opened()
    for _ in range(5):
        async with server.talk(id) as one, server.talk(id) as two, server.talk(id) as three:
            one.vanish()
            await two.send(b"\xff\xff\xff")
            await three.send(close(4000))
            await three.gone()
            await two.gone()
        await server.down_to(0, id, 3)
    async with server.talk(id) as wire:
        await server.answers(wire, "served")


async def test_who_asks_several_things_at_once_and_goes_leaves_nothing_behind(server: ServerProcess) -> None:
    before = server.sockets
    for _ in range(50):
        async with server.connect() as hasty:
            await hasty.send(request("/health") * 3)
    await until(lambda: server.sockets <= before, PATIENCE)


@pytest.mark.parametrize("body", [b"", b"12345"])
async def test_an_answer_before_the_body_is_whole_ends_the_connection(server: ServerProcess, body: bytes) -> None:
    async with server.connect() as slow:
        began = trio.current_time()
        await slow.send(request("/nowhere", "Content-Length: 10", method="POST") + body)
        assert (await slow.answer()).status == 404
        await slow.gone()
        assert trio.current_time() - began < HANDSHAKE_DEADLINE


async def test_who_is_reset_while_told_that_the_server_is_full_harms_nobody(running: Running) -> None:
    server = running(CALLBOARD_MAX_CONNECTIONS="1")
    async with AsyncExitStack() as stack:
        for _ in range(66):
            await stack.enter_async_context(server.connect())
        for _ in range(30):
            async with server.connect() as refused:
                refused.vanish()
    with trio.fail_after(PATIENCE):
        while True:
            async with server.connect() as other:
                await other.send(request("/health"))
                with suppress(Gone):
                    if (await other.answer()).status == 200:
                        break


async def test_what_came_with_a_request_is_not_taken_for_frames_of_a_later_handshake(server: ServerProcess) -> None:
    id = await server.opened()
    both = request("/health") + handshake(f"/api/ws/conversations/{id}")
    async with server.connect() as hasty:
        await hasty.send(both)
        assert (await hasty.answer()).status == 200
        assert (await hasty.answer()).status == 101
        assert (await hasty.told("state_update"))["type"] == "state_update"
        await server.answers(hasty, "still")
