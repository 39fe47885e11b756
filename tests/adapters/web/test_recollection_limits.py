"""Of what streams' listeners were shown little is kept, nothing that was forgotten, and nobody else waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio

from adapters.protocols.conversations import CONVERSATIONS
from adapters.web import resume
from adapters.web.resume import Recollection
from core.conversation import ConversationOpened, FinalHeard
from core.dialect import Frame, Recall
from core.messages import Decision, Recorded, Stamp
from eventstore.memory import MemoryStore
from tests.adapters.web.test_recollection import DECIDERS, Read, filled, retold, stream

SECRET = "private"


async def transcribed(store: MemoryStore, count: int, text: str) -> None:
    """A conversation in which so many things were heard, all of which its state holds."""
    opened = ConversationOpened("friendly_neutral", "daily", None, "ada", "api")
    events = (opened, *[FinalHeard(text, None)] * (count - 1))
    await store.append(stream(1), [Decision(Stamp("", 0), None, events)], expected_version=0)


class Silent:
    """A dialect that shows nothing, and does something when it could."""

    name = "silent"

    def __init__(self, on_render: Callable[[Recorded], None] = lambda _: None) -> None:
        self._on_render = on_render

    def render(self, record: Recorded, state: Any) -> Frame | None:
        self._on_render(record)
        return None


SILENT = Silent()


async def transcript_at(recollection: Recollection, at: int, dialect: Any = SILENT) -> str:
    told: list[str] = []

    async def show(chunk: bytes) -> bool:
        raise AssertionError("nothing is behind it")

    await recollection.retell(
        Recall(stream(1), at, at), dialect,
        connection_id="boot.9", begin=lambda state, _: told.append(state.transcript), show=show,
    )  # fmt: skip
    return told[0]


async def test_the_states_that_are_kept_count_as_much_as_they_hold() -> None:
    store = MemoryStore()
    await transcribed(store, 1000, "é€ and more".ljust(99, "x"))
    recollection = Recollection(store, DECIDERS, most_kept=3_000_000)
    held = 2 * len(await transcript_at(recollection, 950))
    assert held > 150_000
    assert recollection.kept >= held
    for at in range(50, 1000, 100):
        await transcript_at(recollection, at)
        assert held <= recollection.kept <= 3_000_000


async def test_large_states_of_a_long_past_do_not_drive_out_what_others_asked_for() -> None:
    store = Read("epoch")
    await filled(store, stream(2), 100)
    await transcribed(store, 3000, "x" * 100)
    recollection = Recollection(store, DECIDERS, most_kept=1_000_000)
    await retold(recollection, stream(2), 0, 100)
    await transcript_at(recollection, 2950)
    store.read = 0
    await retold(recollection, stream(2), 0, 100)
    assert store.read == 0


async def test_others_have_their_turn_between_any_two_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resume, "STRIDE", 0.0)
    store, turns = MemoryStore(), 0
    await filled(store, stream(1), 1050)

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(others)
        await retold(Recollection(store, DECIDERS), stream(1), 1040, 1050)
        nursery.cancel_scope.cancel()
    assert turns >= 1000 + 40 + 50, "as many as are folded to the leaf and in it, and are rendered"


class Forgetful(MemoryStore):
    """Everything is forgotten when it was read so often: the answer is what was readable before."""

    def __init__(self, at: int = 0) -> None:
        super().__init__("epoch")
        self.after, self.recollection, self._left = MemoryStore("epoch"), Recollection(self, DECIDERS), at
        self._is_over = False

    async def read_stream(self, *asked: Any, **where: Any) -> list[Recorded]:
        read = self.after.read_stream if self._is_over else super().read_stream
        records = await read(*asked, **where)
        self._left -= 1
        if self._left == 0:
            self.forget()
        return records

    def forget(self) -> None:
        """Once."""
        times = 0 if self._is_over else 2  # as it is done
        self._is_over = True
        for _ in range(times):
            self.recollection.forget({stream(1)})


@pytest.mark.parametrize("at", range(1, 6))
async def test_nothing_stays_that_was_read_before_a_forgetting_by_whoever_was_reading_then(at: int) -> None:
    store = Forgetful(at)
    await transcribed(store, 3250, SECRET)
    await transcribed(store.after, 3250, "gone")
    assert SECRET not in await transcript_at(store.recollection, 3240)
    for version in range(40, 3250, 100):
        assert SECRET not in await transcript_at(store.recollection, version)


async def test_a_leaf_that_is_rendered_when_it_is_forgotten_is_read_anew() -> None:
    store = Forgetful()
    await transcribed(store, 150, SECRET)
    await transcribed(store.after, 150, "gone")
    rendering = Silent(lambda record: store.forget() if record.version == 130 else None)
    assert SECRET not in await transcript_at(store.recollection, 120, rendering)
    assert SECRET.encode() not in b"".join(await retold(store.recollection, stream(1), 100, 150, CONVERSATIONS))


async def test_who_reads_another_stream_goes_on_when_one_is_forgotten() -> None:
    store = Read("epoch")
    await filled(store, stream(1), 950)
    recollection = Recollection(store, DECIDERS)
    forgetting = Silent(lambda _: recollection.forget({stream(2)}))
    await transcript_at(recollection, 940, forgetting)
    assert store.read == 950
