"""kill -9 at random moments, under load: what the log promises holds for everybody."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import pytest
import trio

from adapters.demo.server import Server
from adapters.opening import open_history
from adapters.protocols.conversations import CONVERSATIONS
from adapters.setting_values import StoreAddress
from core.conversation import FinalHeard, conversation
from core.identifiers import Category, StreamName
from core.messages import Recorded
from eventstore.chain import Verification
from tests.end_to_end.crowd import Typist

ROUNDS = 50 if os.environ.get("CI") else 8
CONVERSATIONS_HELD, DEVICES = 3, 4


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "crash.db"


async def hold_and_kill(server: Server, rounds: int, seed: int) -> dict[str, list[Typist]]:
    """Devices dictate into conversations while the server is killed `rounds` times; in the end all is acknowledged."""
    moments = random.Random(seed)
    await server.start()
    ids = [(await server.call("POST", "/api/v2/conversations", {}))["id"] for _ in range(CONVERSATIONS_HELD)]
    url = f"ws://127.0.0.1:{server.port}/api/ws/conversations/"
    crowd = {id: [Typist(f"{n}{d}", url + id) for d in range(DEVICES)] for n, id in enumerate(ids)}
    everybody = [typist for typists in crowd.values() for typist in typists]
    async with trio.open_nursery() as nursery:
        for typist in everybody:
            nursery.start_soon(typist.run)
        for _ in range(rounds):
            await trio.sleep(moments.uniform(0.02, 0.6))
            await server.kill()
            await server.start()
        await trio.sleep(0.5)
        for typist in everybody:
            typist.stop()
    await server.stop()
    return crowd


def rendered(records: list[Recorded]) -> dict[int, str]:
    """Every frame the log says was shown, by version."""
    frames, state = {}, conversation.initial
    for record in records:
        state = conversation.fold(state, (record.event,))
        frame = CONVERSATIONS.render(record, state)
        if frame is not None:
            frames[record.version] = frame.body.decode()
    return frames


@pytest.mark.parametrize("seed", [1])
async def test_after_every_kill_nothing_acknowledged_is_lost_and_nothing_is_done_twice(log: Path, seed: int) -> None:
    server = Server(log)
    crowd = await hold_and_kill(server, ROUNDS, seed)
    async with open_history(StoreAddress(log)) as store:
        for id, typists in crowd.items():
            records = await store.read_stream(StreamName.of(Category.CONVERSATION, id))
            check_conversation(records, typists)
        check = Verification()
        while rows := await store.read_rows(after=check.position, limit=2000):
            assert check.check(rows) is None
        assert check.position == store.head
    everybody = [typist for typists in crowd.values() for typist in typists]
    assert sum(len(typist.greetings) for typist in everybody) > ROUNDS, "they did come back"
    assert sum(typist.resent for typist in everybody) > 0, "something was sent again: the test met its case"


def check_conversation(records: list[Recorded], typists: list[Typist]) -> None:
    assert [record.version for record in records] == list(range(1, len(records) + 1))
    heard = Counter(record.event.text for record in records if isinstance(record.event, FinalHeard))
    told = {word for typist in typists for word in typist.acknowledged.values()}
    assert set(heard) == told, "all that was told is acknowledged in the end, and all of it is in the log"
    assert set(heard.values()) == {1}, "whatever was sent again was done once"
    shown = rendered(records)
    for typist in typists:
        expected = [(version, text) for version, text in shown.items() if version >= typist.greetings[0]["seq"]]
        last = typist.seen[-1][0]
        assert typist.seen == [frame for frame in expected if frame[0] <= last], "every frame once, in order, as logged"
        assert all(greeting["recovered"] for greeting in typist.greetings[1:])
