"""What clients of a running server see of a disk that fails, and that nothing is lost or doubled by it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from core.conversation import FinalHeard, conversation
from core.identifiers import Category, StreamName
from eventstore.opening import open_sqlite
from eventstore.sqlite import SQLiteStore
from tests.eventstore.disks import FAULTS, Disk
from tests.eventstore.logs import locked

LARGE = "x" * 90_000
"""Does not fit on a disk with one page left."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_of_the_disk_is_told_clearly_and_service_resumes_when_it_ends(
    start: Callable[..., Awaitable[Any]], path: Path, fault: str
) -> None:
    disk = Disk()
    async with open_sqlite(path, lock_timeout=1, connect=disk.connect) as store:
        server = await start(["Hello."], store=store)
        id = await server.opened()
        stream = StreamName.of(Category.CONVERSATION, id)
        async with server.talk(id) as phone, server.talk(id) as laptop:
            await phone.frames(3)
            await laptop.frames(2)
            with locked(path):  # a fault too; and after it the writer takes a new connection, with the next one
                disk.fault = FAULTS[fault]
                await assert_refused(server, id, phone)
            await assert_refused(server, id, phone)
            disk.fault = Disk().fault
            await phone.send("transcript_update", {"final_transcript": LARGE}, command_id="c-1")
            frame = await phone.frame()
            assert (frame["type"], frame["command_id"]) == ("transcript_update", "c-1")
            assert await laptop.frame() == frame, "the first the laptop hears is what is durable"
            again = await post_message(server, id)
            assert again.status_code == 200
            assert again.json()["ai_response"] == "Hello."
        await assert_as_logged(server, store, stream)
        server.shutdown.set()


async def post_message(server: Any, id: str) -> Any:
    path = f"/api/v2/conversations/{id}/messages"
    return await server.http.post(path, json={"content": LARGE}, headers={"idempotency-key": "m-1"})


async def assert_refused(server: Any, id: str, phone: Any) -> None:
    """Whatever is asked while the fault lasts is answered, and not with yes."""
    await phone.send("transcript_update", {"final_transcript": LARGE}, command_id="c-1")
    error = await phone.frame()
    assert (error["type"], error["command_id"]) == ("error", "c-1")
    assert error["payload"]["error_type"] == "busy"
    assert error["payload"]["retry_after"] > 0
    refused = await post_message(server, id)
    assert refused.status_code == 503
    assert float(refused.headers["retry-after"]) > 0
    assert set(refused.json()) == {"detail"}


async def assert_as_logged(server: Any, store: SQLiteStore, stream: StreamName) -> None:
    records = await store.read_stream(stream)
    assert [record.version for record in records] == list(range(1, len(records) + 1))
    heard = [record.event for record in records if isinstance(record.event, FinalHeard)]
    assert len(heard) == 1
    with trio.fail_after(5):
        state, version = await server.system.look(stream)
    assert version >= len(records)
    assert conversation.fold(conversation.initial, await store.read_events(stream)) == state
