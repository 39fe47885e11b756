"""What streams' listeners were shown, for those who come back: shared, bounded, and right whatever fails."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.protocols.conversations import CONVERSATIONS
from adapters.web.resume import CHUNK, LEAF, Recollection
from core.conversation import ConversationOpened, FinalHeard, InterimHeard, conversation
from core.dialect import Frame, Recall
from core.identifiers import Category, StreamName
from core.messages import Decision, Recorded, Stamp
from eventstore.memory import MemoryStore

DECIDERS = {Category.CONVERSATION: conversation}


def stream(number: int) -> StreamName:
    return StreamName.of(Category.CONVERSATION, f"00000000-0000-4000-8000-{number:012}")


async def filled(store: MemoryStore, name: StreamName, count: int, size: int = 10, after: int = 0) -> None:
    """With so many events more; the first one opens it."""
    opened = ConversationOpened("friendly_neutral", "daily", None, "ada", "api")
    heard = [InterimHeard(f"{n}:".ljust(size, "x")) for n in range(after + 1, after + count + 1)]
    events = tuple(heard) if after else (opened, *heard[1:])
    await store.append(name, [Decision(Stamp("", 0), None, events)], expected_version=after)


async def retold(
    recollection: Recollection, name: StreamName, since: int, until: int, dialect: Any = CONVERSATIONS
) -> list[bytes]:
    chunks: list[bytes] = []

    async def show(chunk: bytes) -> bool:
        chunks.append(chunk)
        return True

    recall = Recall(name, since, until)
    await recollection.retell(recall, dialect, connection_id="boot.9", begin=lambda *_: None, show=show)
    return chunks


@pytest.mark.parametrize("since", [0, 1, LEAF - 1, LEAF, LEAF + 1, 2 * LEAF, 250])
async def test_what_is_retold_begins_and_ends_where_it_should_at_the_edges_of_leaves_too(since: int) -> None:
    store = MemoryStore()
    await filled(store, stream(1), 250)
    text = b"".join(await retold(Recollection(store, DECIDERS), stream(1), since, 250))
    seqs = [int(part.partition(b",")[0].partition(b"}")[0]) for part in text.split(b'"seq":')[1:]]
    assert seqs == [version for version in range(since + 1, 251) if version > 1]


class Counting:
    """The dialect, with a count of what it renders, and a record it cannot render the first time."""

    name = "counting"

    def __init__(self, fails_once_at: int = 0) -> None:
        self.rendered: list[int] = []
        self._fails_at = fails_once_at

    def render(self, record: Recorded, state: Any) -> Frame | None:
        if record.version == self._fails_at:
            self._fails_at = 0
            raise ValueError("cannot be said")
        self.rendered.append(record.version)
        return CONVERSATIONS.render(record, state)


@pytest.mark.parametrize("ends", [0, 1, 120, 2 * LEAF])
@pytest.mark.parametrize("since", [250, 10**18])
async def test_of_a_stream_that_ends_before_the_state_is_that_of_its_end_and_is_right_once_it_has_gone_on(
    ends: int, since: int
) -> None:
    store = MemoryStore()
    recollection = Recollection(store, DECIDERS)
    if ends:
        await filled(store, stream(1), ends)
    assert await begun(recollection, since) == (ends, str(ends) if ends > 1 else "")
    await filled(store, stream(1), 300 - ends, after=ends)
    assert b"".join(await retold(recollection, stream(1), 250, 300)).count(b"transcript_update") == 50
    for at in (260, 110, 130):
        assert await begun(recollection, at) == (at, str(at))


async def begun(recollection: Recollection, since: int) -> tuple[int, str]:
    """The version a recall is told to begin at, and the number in what was heard last by then."""
    told: list[tuple[int, str]] = []

    def begin(state: Any, version: int) -> None:
        told.append((version, (state.interim or "").partition(":")[0]))

    async def show(chunk: bytes) -> bool:
        raise AssertionError("nothing is behind it")

    recall = Recall(stream(1), since, since)
    await recollection.retell(recall, CONVERSATIONS, connection_id="boot.9", begin=begin, show=show)
    return told[0]


class Read(MemoryStore):
    """With a count of the records that were read of streams."""

    read = 0

    async def read_stream(self, stream: StreamName, *, after: int = 0, limit: int | None = None) -> list[Recorded]:
        records = await super().read_stream(stream, after=after, limit=limit)
        self.read += len(records)
        return records


async def test_who_looks_here_and_there_in_a_long_past_reads_little_of_it() -> None:
    store = Read("epoch")
    await filled(store, stream(1), 5000)
    recollection = Recollection(store, DECIDERS)
    assert await begun(recollection, 4950) == (4950, "4950")
    assert store.read >= 4950
    for at in (3950, 1, 2999):
        store.read = 0
        assert await begun(recollection, at) == (at, str(at) if at > 1 else "")
        assert store.read <= 1000


async def test_many_who_come_back_share_one_rendering() -> None:
    store, counting = MemoryStore(), Counting()
    await filled(store, stream(1), 250)
    recollection = Recollection(store, DECIDERS)
    for since in (0, 10, 100, 240):
        await retold(recollection, stream(1), since, 250, counting)
    assert counting.rendered == list(range(1, 251))


async def test_a_record_whose_rendering_failed_is_folded_once_all_the_same() -> None:
    store = MemoryStore()
    opened = ConversationOpened("friendly_neutral", "daily", None, "ada", "api")
    decision = Decision(Stamp("", 0), None, (opened, FinalHeard("hello", None), FinalHeard("you", None)))
    await store.append(stream(1), [decision], expected_version=0)
    recollection, failing = Recollection(store, DECIDERS), Counting(fails_once_at=2)
    with pytest.raises(ValueError, match="cannot be said"):
        await retold(recollection, stream(1), 1, 3, failing)
    text = b"".join(await retold(recollection, stream(1), 1, 3, failing))
    assert b'"accumulated_transcript":"hello you"' in text


async def test_a_large_leaf_is_copied_for_a_client_a_little_at_a_time() -> None:
    store = MemoryStore()
    await filled(store, stream(1), 100, size=10_000)
    chunks = await retold(Recollection(store, DECIDERS), stream(1), 1, 100)
    assert sum(map(len, chunks)) > 900_000
    assert max(map(len, chunks)) <= CHUNK


async def test_what_is_kept_is_bounded_also_by_what_records_hold() -> None:
    store = MemoryStore()
    recollection = Recollection(store, DECIDERS, most_kept=1_000_000)
    for number in range(20):
        await filled(store, stream(number), 50, size=5_000)
        await retold(recollection, stream(number), 1, 50)
    assert recollection.kept <= 1_000_000
