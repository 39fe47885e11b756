"""Where a connection is told of, in a run of very many parts, is found with few of them read."""

from __future__ import annotations

import pytest

from adapters import delivery_parts
from adapters.seen import seen_by
from core.delivery import Closed, Note, Noted, Opened
from core.identifiers import StreamName
from core.messages import Recorded, Stamp

PARTS = 100_000
LASTING = 1
QUIET = range(60_000, 90_000)
"""Parts in which nobody connects."""


class LongLog:
    """The first connection stays; in each part but the quiet ones two more come and go, numbered after the part."""

    def __init__(self) -> None:
        self.read: list[int] = []

    async def read_stream(self, stream: StreamName, *, after: int = 0, limit: int | None = None) -> list[Recorded]:
        assert after == 0
        part = int(stream.rpartition(".")[2])
        if limit is None:
            self.read.append(part)
        if not 1 <= part <= PARTS:
            return []
        return [Recorded(part, stream, 1, Noted(noted(part)), Stamp("c", part * 1000))]


def noted(part: int) -> Note:
    before = QUIET.start - 1 if part - 1 in QUIET else part - 1
    told = {LASTING, 2 * before + 1} | (set() if part in QUIET else {2 * part, 2 * part + 1})
    opened = tuple(Opened(number, number, "ada", "conversations") for number in sorted(told))
    return Note(part * 1000, opened, closed=tuple(Closed(n, n, 1000) for n in sorted(told - {LASTING})))


@pytest.mark.parametrize("number", [LASTING, 2, 3, 777, 119_998, 119_999, 180_000, 199_999, 200_001])
async def test_of_very_many_parts_few_are_read_for_one_connection(number: int) -> None:
    log = LongLog()
    found = await seen_by(log, f"boot.{number}")
    assert found is not None
    assert (found.connection, found.closed is None) == (f"boot.{number}", number == LASTING)
    assert len(log.read) < 60


async def test_what_came_later_is_not_there_yet() -> None:
    log = LongLog()
    assert await seen_by(log, "boot.777", at=300_500) is None
    assert await seen_by(log, "boot.777", at=500_500) is not None
    assert len(log.read) < 60


@pytest.mark.parametrize("number", [200_002, 99_999_999, 10**16])
async def test_a_number_that_is_higher_than_all_is_refused_at_once(number: int) -> None:
    log = LongLog()
    assert await seen_by(log, f"boot.{number}") is None
    assert len(log.read) == 2


@pytest.mark.parametrize("number", [0, 120_000, 150_000])
async def test_a_number_that_nobody_had_is_soon_known_as_such(number: int) -> None:
    log = LongLog()
    assert await seen_by(log, f"boot.{number}") is None
    assert len(log.read) < 60


async def test_no_question_reads_more_parts_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_parts, "MOST_READ", 5)
    log = LongLog()
    assert await seen_by(log, "boot.777") is None
    assert len(log.read) == 5
