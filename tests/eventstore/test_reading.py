"""The contract of every store: reading, and checkpoints."""

from __future__ import annotations

import pytest

from core.ports import EventStore
from tests.eventstore.logs import said, say, stream, texts, whole

A, B = stream("a"), stream("b")


@pytest.fixture
async def filled(store: EventStore) -> EventStore:
    """Two streams, interleaved: a1 b1 a2 a3 b2 a4."""
    await say(store, A, "a1", command_id="c-1")
    await say(store, B, "b1", command_id="c-1")
    await store.append(A, [said("a2", "a3", command_id="c-2")], expected_version=1)
    await say(store, B, "b2")
    await say(store, A, "a4")
    return store


async def test_the_log_is_read_in_commit_order(filled: EventStore) -> None:
    log = await filled.read_all()
    assert texts(log) == ["a1", "b1", "a2", "a3", "b2", "a4"]
    assert [record.position for record in log] == [1, 2, 3, 4, 5, 6]
    assert filled.head == 6


@pytest.mark.parametrize("after", range(8))
@pytest.mark.parametrize("limit", [1, 2, 6, 100])
async def test_the_log_is_read_in_pages(filled: EventStore, after: int, limit: int) -> None:
    whole_log = ["a1", "b1", "a2", "a3", "b2", "a4"]
    assert texts(await filled.read_all(after=after, limit=limit)) == whole_log[after : after + limit]


@pytest.mark.parametrize("after", range(6))
@pytest.mark.parametrize("limit", [None, 0, 1, 3, 100])
async def test_a_stream_is_read_in_order_and_alone(filled: EventStore, after: int, limit: int | None) -> None:
    records = await filled.read_stream(A, after=after, limit=limit)
    assert texts(records) == ["a1", "a2", "a3", "a4"][after:][:limit]
    assert [record.version for record in records] == [1, 2, 3, 4][after:][:limit]


@pytest.mark.parametrize("after", [0, 1, 4, 9])
async def test_read_events_gives_the_events_of_read_stream(filled: EventStore, after: int) -> None:
    records = await filled.read_stream(A, after=after)
    assert await filled.read_events(A, after=after) == [record.event for record in records]


async def test_an_unborn_stream_has_nothing(filled: EventStore) -> None:
    assert await filled.read_stream(stream("c")) == []
    assert await filled.read_events(stream("c")) == []
    assert await filled.read_outcome(stream("c"), "c-1") == ()
    assert await filled.read_commands(stream("c")) == {}


async def test_stream_names_are_told_apart_to_the_letter(store: EventStore) -> None:
    names = ["a", "A", "aa", "a%", "a_", "a-1", "ä"]
    for name in names:
        await say(store, stream(name), name)
    for name in names:
        assert texts(await store.read_stream(stream(name))) == [name]


async def test_a_commands_outcome_is_all_of_its_events_and_no_others(filled: EventStore) -> None:
    assert texts(await filled.read_outcome(A, "c-2")) == ["a2", "a3"]
    assert texts(await filled.read_outcome(A, "c-1")) == ["a1"]
    assert texts(await filled.read_outcome(B, "c-1")) == ["b1"]
    assert await filled.read_outcome(B, "c-2") == ()
    assert await filled.read_outcome(A, "") == ()


async def test_outcomes_are_told_apart_within_one_append(store: EventStore) -> None:
    decisions = [
        said("x1", command_id="x"), said("-"), said("y1", "y2", "y3", command_id="y"), said("z1", command_id="z"),
    ]  # fmt: skip
    await store.append(A, decisions, expected_version=0)
    assert texts(await store.read_outcome(A, "x")) == ["x1"]
    assert texts(await store.read_outcome(A, "y")) == ["y1", "y2", "y3"]
    assert texts(await store.read_outcome(A, "z")) == ["z1"]


async def test_commands_stand_at_the_first_event_they_led_to(store: EventStore) -> None:
    await store.append(A, [said("x1"), said("y1", "y2", "y3")], expected_version=0)
    await say(store, B, "elsewhere")
    await say(store, A, "z1")
    commands = await store.read_commands(A)
    assert {version: command.content for version, command in commands.items()} == {1: "x1", 2: "y1", 5: "z1"}


async def test_an_outcome_is_the_records_the_append_returned(store: EventStore) -> None:
    await say(store, B, "before")
    appended = await say(store, A, "one", "two", command_id="c")
    assert await store.read_outcome(A, "c") == appended


async def test_a_view_without_a_checkpoint_has_none(store: EventStore) -> None:
    assert await store.load_checkpoint("board") is None


async def test_a_checkpoint_is_replaced_and_kept_by_name(store: EventStore) -> None:
    await store.save_checkpoint("board", 3, b'{"a":1}')
    await store.save_checkpoint("other", 1, b"{}")
    await store.save_checkpoint("board", 7, b'{"a":2}')
    assert await store.load_checkpoint("board") == (7, b'{"a":2}')
    assert await store.load_checkpoint("other") == (1, b"{}")


@pytest.mark.parametrize("view", [b"", b"\x00\xff\xfe", "☎".encode(), bytes(range(256)) * 4000])
async def test_a_checkpoint_is_any_bytes(store: EventStore, view: bytes) -> None:
    await store.save_checkpoint("board", 3, view)
    assert await store.load_checkpoint("board") == (3, view)


async def test_a_checkpoint_is_no_event(filled: EventStore) -> None:
    await filled.save_checkpoint("board", 3, b"{}")
    assert filled.head == 6
    assert len(await whole(filled)) == 6
