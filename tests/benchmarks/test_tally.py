"""The bench counts what comes, however it is cut: a rate is worth what its count is."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

import pytest

from tests.benchmarks.tally import Tally
from tests.benchmarks.wire import HOST, PING, TEXT, Wire

SIZES = (2, 5, 125, 126, 300, 304, 70_000)
CUTS = (1, 2, 3, 7, 50, 300, 5000)


@pytest.fixture
def ends() -> Iterator[tuple[Wire, socket.socket]]:
    """An open wire, and the server's end of it."""
    with socket.create_server((HOST, 0)) as listener:
        wire = Wire(listener.getsockname()[1], "/")
        server, _ = listener.accept()
    server.recv(4096)
    server.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    while not wire.is_open:
        wire.read()
    yield wire, server
    wire.close()
    server.close()


def frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    return bytes((0x80 | opcode, 126 + (size > 65535))) + size.to_bytes(2 if size < 65536 else 8) + payload


def drawn(random: random.Random) -> tuple[int, bytes]:
    """Frames in a row, some of them pings: how many texts there are, and all the bytes."""
    opcodes = [random.choice((TEXT, TEXT, TEXT, PING)) for _ in range(30)]
    frames = (frame(opcode, b"\x81" * (random.choice(SIZES) if opcode == TEXT else 4)) for opcode in opcodes)
    return opcodes.count(TEXT), b"".join(frames)


@pytest.mark.parametrize("seed", range(30))
def test_a_tally_counts_every_text_frame_once_however_the_bytes_are_cut(
    seed: int, ends: tuple[Wire, socket.socket]
) -> None:
    wire, server = ends
    chance = random.Random(seed)
    texts, stream = drawn(chance)
    tally, counted = Tally(wire), 0
    while stream:
        cut = chance.choice(CUTS)
        server.sendall(stream[:cut])
        stream = stream[cut:]
        wire.socket.recv(1, socket.MSG_PEEK)
        counted += tally.read()
    tally.give_back()
    assert counted == texts


@pytest.mark.parametrize("seed", range(30))
def test_a_wire_reads_the_same_frames_that_a_tally_counts(seed: int, ends: tuple[Wire, socket.socket]) -> None:
    wire, _ = ends
    texts, stream = drawn(random.Random(seed))
    assert [len(text) > 1 for text in wire.take(stream)] == [True] * texts
