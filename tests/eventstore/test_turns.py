"""Who reads much of a log that a server writes to takes short turns, so that nobody waits for long ones."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from eventstore import turns
from eventstore.locking import is_served
from eventstore.opening import open_sqlite


async def test_asking_whether_a_log_is_served_is_in_nobodys_way(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    assert not is_served(path)
    assert not Path(f"{path}-lock").exists()
    async with open_sqlite(path):
        assert is_served(path)
        (tmp_path / "by-another-name.db").symlink_to(path)
        assert is_served(tmp_path / "by-another-name.db")
    assert not is_served(path)
    async with open_sqlite(path):
        assert is_served(path)


class Naps:
    """A clock that somebody moves, and the naps taken by it."""

    def __init__(self) -> None:
        self.now, self.taken = 100.0, 0

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.taken += 1
        self.now += 1.0


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> Naps:
    naps = Naps()
    monkeypatch.setattr(turns, "perf_counter", naps.time)
    monkeypatch.setattr("eventstore.turns.time.sleep", naps.sleep)
    monkeypatch.setattr(turns, "_end_of_turn", math.inf)
    return naps


def test_who_reads_what_nobody_writes_takes_no_turns_and_never_naps(naps: Naps, tmp_path: Path) -> None:
    assert not turns.take_turns(tmp_path / "log.db")
    naps.now = 1e9
    turns.give_way()
    assert naps.taken == 0


def test_a_turn_is_over_after_its_time_and_the_next_one_begins_behind_the_nap(
    naps: Naps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "is_served", lambda log: True)
    assert turns.take_turns(Path("log"))
    turns.give_way()
    assert naps.taken == 1
    for _ in range(9):
        naps.now += turns.TURN / 10
        turns.give_way()
    assert naps.taken == 1
    naps.now += turns.TURN / 5
    turns.give_way()
    assert naps.taken == 2
