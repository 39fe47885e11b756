"""What comes in after the handshake: bounded, uncompressed, and by the rules of RFC 6455, whoever sends it."""

from __future__ import annotations

import pytest
import trio

from tests.adapters.server.conftest import MAX_FRAME_BYTES, MEBI, Running
from tests.adapters.server.process import ServerProcess
from tests.adapters.server.raw import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Gone,
    Wire,
    close,
    frame,
    heartbeat,
    speech,
    text,
)

HUGE = 200 * MEBI

BROKEN: dict[str, tuple[bytes, int]] = {
    "the_first_reserved_bit": (frame(TEXT, b"{}", rsv=0b100), 1002),
    "the_second_reserved_bit": (frame(TEXT, b"{}", rsv=0b010), 1002),
    "the_third_reserved_bit": (frame(TEXT, b"{}", rsv=0b001), 1002),
    "a_reserved_bit_on_a_ping": (frame(PING, rsv=0b100), 1002),
    "a_reserved_opcode": (frame(0x3, b"{}"), 1002),
    "a_reserved_control_opcode": (frame(0xB), 1002),
    "no_mask": (frame(TEXT, b"{}", mask=None), 1002),
    "a_continuation_of_nothing": (frame(CONTINUATION, b"{}"), 1002),
    "a_message_within_a_message": (frame(TEXT, b"{", fin=False) + frame(TEXT, b"}"), 1002),
    "a_ping_in_fragments": (frame(PING, b"a", fin=False), 1002),
    "a_ping_too_long": (frame(PING, b"a" * 126), 1002),
    "a_close_too_long": (close(1000, b"a" * 124), 1002),
    "a_close_of_one_byte": (frame(CLOSE, b"\x03"), 1002),
    "a_close_with_a_code_of_nobody": (close(999), 1002),
    "a_close_with_a_code_never_sent": (close(1005), 1002),
    "a_close_with_a_reserved_code": (close(1016), 1002),
    "a_length_not_the_shortest": (b"\x81\xfe\x00\x02" + b"\0\0\0\0{}", 1002),
    "a_length_of_64_bits": (b"\x81\xff" + b"\xff" * 8 + b"\0\0\0\0", 1002),
    "text_that_is_no_utf8": (frame(TEXT, b'{"type": "\xff"}'), 1007),
    "text_that_ends_in_a_character": (frame(TEXT, "é".encode()[:1]), 1007),
    "text_with_a_surrogate": (frame(TEXT, b"\xed\xa0\x80"), 1007),
    "no_utf8_in_the_second_fragment": (frame(TEXT, b"{", fin=False) + frame(CONTINUATION, b"\xfe"), 1007),
    "a_close_whose_reason_is_no_utf8": (close(1000, b"\xff"), 1007),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_who_breaks_the_protocol_is_told_with_what_and_nobody_else_notices(
    server: ServerProcess, name: str
) -> None:
    sent, code = BROKEN[name]
    id = await server.opened()
    async with server.talk(id) as bystander, server.talk(id) as wire:
        await wire.send(sent)
        assert (await wire.closed()).code == code
        await wire.gone()
        await server.answers(bystander, name)


async def test_compression_is_never_agreed_to(server: ServerProcess) -> None:
    id = await server.opened()
    for offer in ("permessage-deflate", "permessage-deflate; client_max_window_bits, x-webkit-deflate-frame"):
        async with server.connect() as wire:
            answer = await wire.shake(f"/api/ws/conversations/{id}", f"Sec-WebSocket-Extensions: {offer}")
            assert answer.status == 101
            assert "sec-websocket-extensions" not in answer.headers
            await wire.send(frame(TEXT, b"\xaaV*\xa9,HU\xb2RJN", rsv=0b100))
            assert (await wire.closed()).code == 1002


# --- as it should be, if unusual ---


async def test_control_frames_between_the_fragments_of_a_message_are_answered_at_once(server: ServerProcess) -> None:
    async with server.talk(await server.opened()) as wire:
        body = b'{"type": "heartbeat", "command_id": "in six parts"}'
        pieces = [body[start : start + 10] for start in range(0, 60, 10)]
        assert len(pieces) == 6
        await wire.send(frame(TEXT, pieces[0], fin=False))
        for number, piece in enumerate(pieces[1:5]):
            await wire.send(frame(PING, bytes([number])), frame(CONTINUATION, piece, fin=False), frame(PONG))
            pong = await wire.frame()
            while pong.opcode != PONG:
                pong = await wire.frame()
            assert pong.payload == bytes([number])
        await wire.send(frame(CONTINUATION, pieces[5]))
        assert (await wire.told("heartbeat_response"))["command_id"] == "in six parts"


async def test_empty_fragments_are_fragments(server: ServerProcess) -> None:
    async with server.talk(await server.opened()) as wire:
        empty = frame(CONTINUATION, fin=False)
        await wire.send(frame(TEXT, fin=False), empty, frame(CONTINUATION, heartbeat_body("x"), fin=False), empty)
        await wire.send(frame(CONTINUATION))
        assert (await wire.told("heartbeat_response"))["command_id"] == "x"


def heartbeat_body(command_id: str) -> bytes:
    return b'{"type": "heartbeat", "command_id": "%b"}' % command_id.encode()


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_an_empty_message_is_a_message(server: ServerProcess, opcode: int) -> None:
    async with server.talk(await server.opened()) as wire:
        await wire.send(frame(opcode))
        assert (await wire.told("error"))["payload"]["error_type"] == "invalid_json"
        await server.answers(wire, "still open")


async def test_a_character_may_be_cut_in_two_by_fragments(server: ServerProcess) -> None:
    async with server.talk(await server.opened()) as wire:
        whole = '{"type": "heartbeat", "command_id": "café"}'.encode()
        half = whole.index(b"\xa9")
        await wire.send(frame(TEXT, whole[:half], fin=False), frame(CONTINUATION, whole[half:]))
        assert (await wire.told("heartbeat_response"))["command_id"] == "café"


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4321, 4999, None])
async def test_the_clients_own_code_comes_back_and_the_connection_ends_at_once(
    server: ServerProcess, code: int | None
) -> None:
    id = await server.opened()
    async with server.talk(id) as wire:
        await wire.send(close(code))
        with trio.fail_after(1):
            assert (await wire.closed()).code == (code or 1005)
            await wire.gone()
            await server.down_to(0, id)


async def test_nothing_is_sent_after_the_close(server: ServerProcess) -> None:
    id = await server.opened()
    async with server.talk(id) as wire, server.talk(id) as other:
        await wire.send(close(1000), heartbeat("too late"), frame(PING, b"too late"))
        await other.send(speech(word="meanwhile"))
        await other.told("speech_event")
        await wire.closed()
        with pytest.raises(Gone):
            await wire.frame()


# --- bounds ---


async def pour(wire: Wire, chunk: bytes, total: int) -> None:
    """Send as much as the server lets us."""
    try:
        for _ in range(total // len(chunk)):
            await wire.send(chunk)
    except (Gone, trio.TooSlowError):
        pass


async def cut_off(server: ServerProcess, wire: Wire, first: bytes, chunk: bytes) -> int:
    """Pour 200 MiB and meanwhile see the close; returns its code."""
    async with trio.open_nursery() as nursery:
        await wire.send(first)
        nursery.start_soon(pour, wire, chunk, HUGE)
        found = await wire.closed()
        await wire.gone()
        nursery.cancel_scope.cancel()
    return found.code


CHUNK = b"\0" * 65536


@pytest.mark.parametrize(
    ("first", "chunk"),
    [
        (frame(BINARY, announced=HUGE, mask=b"\0\0\0\0"), CHUNK),
        (frame(TEXT, announced=HUGE, mask=b"\0\0\0\0"), b" " * 65536),
        (frame(TEXT, b"[", fin=False), frame(CONTINUATION, CHUNK, fin=False, mask=b"\0\0\0\0")),
        (frame(BINARY, b"[", fin=False), frame(CONTINUATION, b"\1" * 100, fin=False) * 600),
    ],
    ids=["one_binary_frame", "one_text_frame", "many_fragments", "many_small_fragments"],
)
async def test_a_message_without_end_is_cut_off_at_the_limit_and_not_kept(
    server: ServerProcess, first: bytes, chunk: bytes
) -> None:
    async with server.talk(await server.opened()) as bystander:
        before = server.forget_peak()
        async with server.talk(await server.opened()) as wire:
            assert await cut_off(server, wire, first, chunk) == 1009
        assert server.peak - before < 16 * MAX_FRAME_BYTES
        await server.answers(bystander, "served")


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_a_message_of_a_hundred_thousand_fragments_costs_what_it_holds(
    server: ServerProcess, opcode: int
) -> None:
    """A fragment of three bytes that is kept as it came costs fifty; a limit of 16 MiB would be hundreds of MiB."""
    async with server.talk(await server.opened()) as wire:
        before = server.forget_peak()
        await wire.send(frame(opcode, b"[", fin=False))
        for _ in range(100):
            await wire.send(frame(CONTINUATION, b"123", fin=False) * 1000)
        await wire.send(frame(PING, b"all here"))
        with trio.fail_after(10):
            while (await wire.frame()).payload != b"all here":
                pass
        assert server.peak - before < 4 * MEBI


async def test_a_message_of_empty_fragments_alone_is_cut_off_or_costs_nothing(server: ServerProcess) -> None:
    """They never reach the limit, however many they are."""
    async with server.talk(await server.opened()) as wire:
        await wire.send(frame(BINARY, b"[", fin=False))
        empty = frame(CONTINUATION, fin=False) * 10_000
        await wire.send(empty)
        before = server.forget_peak()
        for _ in range(9):
            await wire.send(empty)
        await wire.send(frame(PING, b"all here"))
        with trio.fail_after(10):
            while (found := await wire.frame()).payload != b"all here" and found.opcode != CLOSE:
                pass
        assert server.peak - before < MEBI // 4


async def test_a_message_of_the_limit_is_taken_and_one_of_a_byte_more_is_not(server: ServerProcess) -> None:
    async with server.talk(await server.opened()) as wire:
        for opcode in (TEXT, BINARY):
            await wire.send(frame(opcode, b" " * MAX_FRAME_BYTES))
            assert (await wire.told("error"))["payload"]["error_type"] == "invalid_json"
        await wire.send(frame(TEXT, b" " * (MAX_FRAME_BYTES + 1)))
        assert (await wire.closed()).code == 1009


async def test_the_limit_counts_bytes_and_not_characters(server: ServerProcess) -> None:
    async with server.talk(await server.opened()) as wire:
        await wire.send(frame(TEXT, "é".encode() * (MAX_FRAME_BYTES // 2 + 1)))
        assert (await wire.closed()).code == 1009


async def test_pings_whose_pongs_are_never_read_cost_no_more_than_an_outlet(running: Running) -> None:
    server = running(CALLBOARD_OUTLET_BYTES="64 KiB")
    id = await server.opened()
    async with server.talk(id) as bystander, server.talk(id, receive_buffer=4096) as flooder:
        before = server.forget_peak()
        with trio.move_on_after(3):
            await pour(flooder, frame(PING, b"x" * 125) * 500, 40 * MEBI)
        assert server.peak - before < 8 * MEBI
        assert await server.answers(bystander, "served") < 1


async def test_who_sends_without_pause_keeps_nobody_waiting(server: ServerProcess) -> None:
    id = await server.opened()
    flood = text({"type": "heartbeat"}) * 1000
    async with (
        server.talk(id) as bystander,
        server.talk(await server.opened()) as flooder,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(pour, flooder, flood, 20 * len(flood))
        nursery.start_soon(flooder.gone)
        waits = [await server.answers(bystander, str(number)) for number in range(10)]
        nursery.cancel_scope.cancel()
    assert max(waits) < 0.5
