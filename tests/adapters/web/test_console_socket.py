"""The console's socket on a real server: who may look, and that looking does not beget looking."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jwt
import pytest
import trio

from adapters.opening import open_history
from adapters.setting_values import StoreAddress
from eventstore.masterkey import make_master_key
from tests.adapters.web.conftest import Socket
from tests.adapters.whole import Whole, heard, say, serving

SECRET = "an-example-of-a-signing-key-with-enough-bytes"
INTERVAL = 0.05
GUARDED = {"CALLBOARD_AUTH": "jwt", "CALLBOARD_JWT_SECRET": SECRET}


def console(server: Whole, *roles: str) -> Any:
    token = jwt.encode({"sub": "ada", "exp": time.time() + 60, "roles": list(roles)}, SECRET, "HS256")
    return server.connect(f"/console/socket?token={token}")


async def until(socket: Socket, kind: str) -> list[Any]:
    """The frames up to the next of this type."""
    frames = [await heard(socket)]
    while frames[-1]["type"] != kind:
        frames.append(await heard(socket))
    return frames


async def test_an_operator_and_an_auditor_may_look_and_nobody_else() -> None:
    async with serving(**GUARDED) as server:
        for role in ("operator", "auditor"):
            async with console(server, role) as socket:
                hello = await heard(socket)
                assert (hello["principal"], hello["roles"]) == ("ada", sorted(["client", role]))
        for roles in ((), ("client",), ("admin",)):
            async with console(server, *roles) as socket:
                assert await socket.closed() == (1008, "This needs the role operator or auditor")
        async with server.connect("/console/socket") as socket:
            assert await socket.closed() == (1008, "Missing authentication token")


async def test_a_look_is_on_record_with_who_looked_and_by_which_connection() -> None:
    async with (
        serving(**GUARDED) as server,
        console(server, "operator") as first,
        console(server, "auditor") as second,
    ):
        await say(first, {"type": "board", "id": "1"})
        await until(first, "tuned")
        connection = (await heard(second))["connection_id"]
        await say(second, {"type": "state", "id": "1", "stream": "call-x", "at": 0})
        assert (await heard(second))["type"] == "state"
        *_, accessed = await until(first, "event")
        assert [accessed[name] for name in ("event", "principal", "origin", "says")] == [
            "audit.accessed", "ada", connection, "console: stream call-x",
        ]  # fmt: skip


async def test_a_page_ends_behind_its_records_however_long_and_requests_meanwhile_come_after() -> None:
    async with serving() as server, server.connect("/console/socket") as socket:
        id = await server.opened()
        stream = f"conversation-{id}"
        for n in range(120):
            await server.http.post(f"/api/conversations/{id}/transcript", json={"final_transcript": f"word {n}"})
        for _ in ("the first time", "and again, when it is on record"):
            await say(socket, {"type": "page", "id": "p", "stream": stream, "after": 10, "until": 500})
            await say(socket, {"type": "state", "id": "s", "stream": stream, "at": 30})
            frames = [frame for frame in await until(socket, "state") if frame["type"] != "hello"]
            kinds = [frame["type"] for frame in frames]
            assert kinds == ["page", *["record"] * 111, "page_end", "state"]
            assert [frame["version"] for frame in frames if "version" in frame] == list(range(11, 122))


async def test_a_console_that_looks_at_everything_on_a_server_at_rest_adds_nothing_to_the_log(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    kept = {"CALLBOARD_STORE": f"sqlite:///{path}", "CALLBOARD_SEEN_INTERVAL": str(INTERVAL)}
    async with serving(**kept) as server, server.connect("/console/socket") as socket:
        boot = (await heard(socket))["connection_id"].rpartition(".")[0]
        await say(socket, {"type": "board", "id": "1"})
        for stream in (f"delivery-{boot}.1", f"audit-{time.strftime('%Y-%m-%d', time.gmtime())}"):
            await say(socket, {"type": "watch", "id": stream, "stream": stream})
        heads = [await settled_head(path) for _ in range(2)]
        assert heads[0] == heads[1]


async def test_who_watches_what_is_forgotten_is_sent_away_and_others_are_told(tmp_path: Path) -> None:
    key = tmp_path / "key"
    make_master_key(key)
    sealed = {"CALLBOARD_STORE": f"sqlite:///{tmp_path / 'log.db'}", "CALLBOARD_ENCRYPTION_KEY": str(key)}
    async with (
        serving(**sealed) as server,
        server.connect("/console/socket") as watching,
        server.connect("/console/socket") as looking,
    ):
        stream = f"conversation-{await server.opened()}"
        for socket, asked in ((watching, {"type": "watch", "stream": stream}), (looking, {"type": "board"})):
            await say(socket, {**asked, "id": "1"})
            await until(socket, "tuned")
        assert (await server.http.post(f"/api/audit/subjects/{stream}/forget")).status_code == 200
        assert await watching.closed() == (1012, "this was told anew; come back")
        events = [frame["event"] for frame in await until(looking, "event")]
        while events[-1] != "audit.subject_forgotten":
            events += [frame["event"] for frame in await until(looking, "event")]


async def settled_head(path: Path) -> int:
    """Of the log, after some looks at the connections."""
    await trio.sleep(20 * INTERVAL)
    async with open_history(StoreAddress(path)) as store:
        return store.head


@pytest.mark.parametrize("stream", ["session-x", "call-x", "conversation-x", "channel-x", "audit-x", "delivery-x"])
async def test_every_kind_of_stream_has_a_state_on_a_real_server(stream: str) -> None:
    async with serving() as server, server.connect("/console/socket") as socket:
        await say(socket, {"type": "state", "id": "s", "stream": stream, "at": 0})
        *_, state = await until(socket, "state")
        assert isinstance(state["state"], dict)
