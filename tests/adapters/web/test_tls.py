"""A talk over TLS: whole, in order, and as safe from those who do not read as one in clear."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from msgspec import json

from adapters.clients.wire import open_wire
from adapters.server.link import LinkLimits
from adapters.server.serve import ServerLimits
from adapters.server.tls import tls_context
from tests.adapters.certificates import write_pems
from tests.adapters.web.conftest import Start

PATIENCE = 10.0


class Secured:
    """A server under TLS, and who trusts its certificate."""

    def __init__(self, server: Any, trust: ssl.SSLContext) -> None:
        self.server, self.trust = server, trust
        self.address = server.url.removeprefix("https://").replace("127.0.0.1", "localhost")

    async def opened(self) -> str:
        async with httpx.AsyncClient(verify=self.trust) as http:
            answer = await http.post(f"https://{self.address}/api/v2/conversations", json={})
        return str(answer.json()["id"])

    def talk(self, id: str) -> Any:
        return open_wire(f"wss://{self.address}/api/ws/conversations/{id}", tls=self.trust)


@pytest.fixture
async def secured(start: Start, tmp_path: Path) -> Secured:
    certificate, key = write_pems(tmp_path, "server")
    limits = ServerLimits(LinkLimits(outlet_bytes=64 * 1024, write_deadline=1.0), graceful_timeout=0.1)
    server = await start(limits=limits, tls=tls_context(certificate, key))
    return Secured(server, ssl.create_default_context(cafile=str(certificate)))


async def frames(wire: Any, count: int) -> list[dict[str, Any]]:
    with trio.fail_after(PATIENCE):
        return [json.decode(await wire.get_message()) for _ in range(count)]


def speech(number: int, size: int = 10) -> str:
    payload = {"event_type": str(number), "data": {"bytes": "x" * size}}
    return json.encode({"type": "speech_event", "payload": payload}).decode()


async def test_a_flood_over_tls_arrives_whole_and_in_order(secured: Secured) -> None:
    id = await secured.opened()
    async with secured.talk(id) as wire:
        await frames(wire, 2)
        for number in range(200):
            await wire.send_message(speech(number))
        assert [frame["payload"]["event_type"] for frame in await frames(wire, 200)] == [str(n) for n in range(200)]


async def test_who_does_not_read_over_tls_is_dropped_and_the_others_hear_all(secured: Secured) -> None:
    id = await secured.opened()
    async with secured.talk(id) as quick:
        await frames(quick, 2)
        deaf = await trio.open_tcp_stream("localhost", int(secured.address.rpartition(":")[2]))
        stream = trio.SSLStream(deaf, secured.trust, server_hostname="localhost")
        async with deaf:
            handshake = (
                f"GET /api/ws/conversations/{id} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            await stream.send_all(handshake.encode())
            await frames(quick, 1)
            for number in range(120):
                await quick.send_message(speech(number, 60_000))
                while (frame := (await frames(quick, 1))[0])["type"] == "connection_status":
                    pass
                assert frame["payload"]["event_type"] == str(number)
            await secured.server.until(id, lambda state: len(state.clients) == 1)


async def test_who_speaks_no_tls_harms_nobody(secured: Secured) -> None:
    id = await secured.opened()
    port = int(secured.address.rpartition(":")[2])
    for hello in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00", b""):
        async with await trio.open_tcp_stream("localhost", port) as stream:
            await stream.send_all(hello)
    async with secured.talk(id) as wire:
        assert (await frames(wire, 1))[0]["type"] == "state_update"
