"""What the kept logs of releases hold: nearly all that may ever be in one, and nothing of where they were made."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from adapters.checking import Checked, check
from eventstore.archives import archives_beside
from eventstore.catalog import EVENTS
from tests.golden import GOLDEN, unpacked
from tests.golden_maker import OPERATOR, make

EXCEPTIONS = {
    "audit.subject_forgotten/1": "only a sealed log can forget, and one is opened with its master key beside it",
}
"""Events that are in no kept log, each with the reason why; the next release's own log wants those that came after."""


def told(golden: Path, folder: Path, column: str) -> set[str]:
    """All that stands in this column of a kept log."""
    with closing(sqlite3.connect(unpacked(golden, folder))) as connection:
        return {value for (value,) in connection.execute(f"SELECT DISTINCT {column} FROM stored_events")}  # noqa: S608


def names_in(logs: Sequence[Path], folder: Path) -> set[str]:
    return {name for log in logs for name in told(log, folder, "topic")}


def unheard(_: Checked) -> None:
    """Nobody looks how far it has come."""


def test_every_event_is_in_the_log_of_a_release_or_there_is_a_reason_why_not(tmp_path: Path) -> None:
    assert EVENTS.keys() - names_in(GOLDEN, tmp_path) == EXCEPTIONS.keys()


def test_a_log_of_a_release_has_archives() -> None:
    assert any(archives_beside(golden.with_name(golden.name.removesuffix(".db.gz"))) for golden in GOLDEN)


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda path: path.name)
def test_a_kept_log_names_nobody_of_where_it_was_made(golden: Path, tmp_path: Path) -> None:
    assert told(golden, tmp_path, "principal") <= {"anonymous", "system", OPERATOR}


def test_what_makes_the_next_release_its_log_makes_one_with_every_event(tmp_path: Path) -> None:
    golden = tmp_path / "next.dialogues.db.gz"
    make(golden)
    assert EVENTS.keys() - names_in([golden], tmp_path) == EXCEPTIONS.keys()
    assert check(unpacked(golden, tmp_path), unheard, processes=1).findings == ()
