from __future__ import annotations

from typing import Any

import pytest

from adapters.clients.bookmark import Bookmark, Gap, Place

URL = "wss://example.org/api/ws/conversations/c?deltas=true"


def greeting(seq: int, *, recovered: bool, epoch: str = "e1") -> dict[str, Any]:
    return {"type": "state_update", "seq": seq, "epoch": epoch, "recovered": recovered}


def frame(seq: int) -> dict[str, Any]:
    return {"type": "state_update", "seq": seq}


def test_who_heard_nothing_yet_asks_for_nothing() -> None:
    assert Bookmark().resume(URL) == URL


def test_who_comes_back_says_since_when_and_of_which_log() -> None:
    bookmark = Bookmark()
    bookmark.place(greeting(4, recovered=False, epoch="a b"))
    assert bookmark.resume(URL) == URL + "&since=4&epoch=a+b"
    assert bookmark.resume("ws://h/x") == "ws://h/x?since=4&epoch=a+b"


def test_the_event_that_made_the_snapshot_may_be_shown_once() -> None:
    bookmark = Bookmark()
    assert bookmark.place(greeting(4, recovered=False)) is Place.SNAPSHOT
    assert bookmark.place(frame(3)) is Place.REPEAT
    assert bookmark.place(frame(4)) is Place.LOGGED
    assert bookmark.place(frame(4)) is Place.REPEAT


def test_versions_that_are_not_shown_are_no_gap() -> None:
    bookmark = Bookmark(4, "e1")
    assert bookmark.place(greeting(4, recovered=True)) is Place.RESUMED
    assert [bookmark.place(frame(seq)) for seq in (4, 6, 9, 6)] == [
        Place.REPEAT, Place.LOGGED, Place.LOGGED, Place.REPEAT,
    ]  # fmt: skip
    assert bookmark.seq == 9


def test_where_every_version_is_shown_a_missing_one_is_a_gap() -> None:
    bookmark = Bookmark(4, "e1", contiguous=True)
    with pytest.raises(Gap, match="after 4 came 6"):
        bookmark.place(frame(6))
    assert bookmark.seq == 4


@pytest.mark.parametrize("late", [greeting(7, recovered=True), greeting(4, recovered=True, epoch="e2")])
def test_a_resume_from_elsewhere_is_a_gap_in_every_dialect(late: dict[str, Any]) -> None:
    with pytest.raises(Gap):
        Bookmark(4, "e1").place(late)


def test_behind_a_second_gap_at_one_place_a_snapshot_is_asked_for() -> None:
    bookmark = Bookmark(4, "e1", contiguous=True)
    for expected in (URL + "&since=4&epoch=e1", URL):
        with pytest.raises(Gap):
            bookmark.place(frame(6))
        assert bookmark.resume(URL) == expected


def test_what_is_not_of_the_log_moves_nothing() -> None:
    bookmark = Bookmark(4, "e1", contiguous=True)
    assert bookmark.place({"type": "heartbeat_response"}) is Place.ASIDE
    assert bookmark.place({"type": "odd", "seq": True}) is Place.ASIDE
    assert bookmark.seq == 4


def test_a_new_log_begins_anew_even_at_zero() -> None:
    bookmark = Bookmark(40, "e1")
    assert bookmark.place(greeting(0, recovered=False, epoch="e2")) is Place.SNAPSHOT
    assert (bookmark.seq, bookmark.epoch) == (0, "e2")
    assert bookmark.place(frame(1)) is Place.LOGGED


def test_a_snapshot_forgets_the_gaps_before_it() -> None:
    bookmark = Bookmark(4, "e1", contiguous=True)
    for before, after in ((frame(6), greeting(8, recovered=False)), (frame(10), frame(9))):
        with pytest.raises(Gap):
            bookmark.place(before)
        bookmark.place(after)
    assert bookmark.seq == 9


def test_who_is_resumed_without_having_asked_is_where_the_server_says() -> None:
    bookmark = Bookmark()
    assert bookmark.place(greeting(4, recovered=True)) is Place.RESUMED
    assert bookmark.resume("ws://h/x") == "ws://h/x?since=4&epoch=e1"
