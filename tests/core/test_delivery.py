"""Notes of what was sent, and what follows from them for a time between two: bounds that hold."""

from __future__ import annotations

from core.delivery import Acknowledged, Closed, Hearing, Note, Noted, NoteDelivery, Notes, Opened, Written, delivery
from core.sightings import Seen, Sighting, sighting, sightings
from core.specification import given

ADA = Opened(1, 1_000, "ada", "conversations", {"conversation_id": "a"}, 4)
BOB = Opened(2, 1_100, "bob", "channels")
TALK = Hearing(("conversation-a",), (1,))


def note(began: int, *parts: object, more: bool = False) -> Seen:
    """A look that took no time."""
    kinds: dict[type, str] = {
        Opened: "opened",
        Hearing: "hearing",
        Written: "written",
        Acknowledged: "acknowledged",
        Closed: "closed",
    }
    fields: dict[str, tuple[object, ...]] = {}
    for part in parts:
        fields[kinds[type(part)]] = (*fields.get(kinds[type(part)], ()), part)
    return began, Note(began, more=more, **fields)  # type: ignore[arg-type]  # by their types, above


NOTES = (
    note(2_000, ADA, TALK, Written(10, 10, (1,))),
    note(3_000, Written(15, 20, (1,)), Acknowledged(10, (1,))),
    note(4_000, BOB),
    note(5_000, Written(20, 20, (1,)), Closed(1, 4_900, 1000)),
)


def seen(at: int | None, connection: int = 1, notes: tuple[Seen, ...] = NOTES) -> Sighting:
    found = sighting(notes, connection, at)
    assert found is not None
    return found


def bounds(at: int | None) -> tuple[int, int, int | None]:
    found = seen(at)
    return found.acknowledged, found.written, found.at_most


# --- the decider ------------------------------------------------------------------------------------------------


def test_whatever_was_seen_is_on_record_and_nothing_is_wanted() -> None:
    said = NOTES[0][1]
    given(delivery).when(NoteDelivery(said)).then(Noted(said)).leads_to(count=1).wants()


def test_notes_go_on_and_are_no_work_for_anybody() -> None:
    events = tuple(Noted(said) for _, said in NOTES)
    assert given(delivery, *events).state == Notes(4)
    assert not delivery.is_terminal(Notes(4))
    assert {delivery.opens_work(event) for event in events} == {None}


# --- the bounds -------------------------------------------------------------------------------------------------


def test_at_the_moment_of_a_look_it_is_what_that_look_found_up_to_what_the_next_one_did() -> None:
    assert bounds(2_000) == (0, 10, 20)
    assert bounds(3_000) == (10, 15, 20)


def test_between_two_looks_it_is_at_least_the_one_before_and_at_most_the_one_after() -> None:
    assert bounds(2_500) == (0, 10, 20)
    found = seen(2_500)
    assert (found.seen_from, found.seen_until) == (2_000, 3_000)


def test_whom_a_later_look_does_not_mention_has_not_moved() -> None:
    assert bounds(3_500) == (10, 15, 20)
    assert seen(3_500).seen_until == 4_000


def test_a_look_that_is_not_known_to_be_whole_or_began_before_says_nothing_of_whom_it_does_not_mention() -> None:
    first, second, *_ = NOTES
    assert seen(3_500, notes=(first, second, note(4_000, BOB, more=True))).at_most is None
    assert seen(3_500, notes=(first, second, (4_000, Note(3_400, opened=(BOB,))))).at_most is None
    assert seen(3_500, notes=(first, second, (4_000, Note(3_600, opened=(BOB,))))).at_most == 20


def test_behind_the_last_look_nobody_knows_how_far_it_came() -> None:
    assert bounds(9_000) == (10, 20, 20)  # it is closed
    found = seen(9_000, 2)
    assert (found.written, found.at_most, found.seen_until, found.was_there) == (0, None, None, True)


def test_without_a_time_it_is_all_that_is_known() -> None:
    found = seen(None)
    assert (found.acknowledged, found.written, found.at_most, found.code) == (10, 20, 20, 1000)
    assert (found.opened, found.names) == (ADA, ("conversation-a",))


def test_before_it_was_opened_it_was_not_there_and_right_after_it_may_have_got_all_the_first_look_found() -> None:
    assert sighting(NOTES, 1, 999) is None
    assert sighting(NOTES, 3) is None
    found = seen(1_500)
    assert (found.written, found.at_most, found.seen_from, found.was_there) == (0, 10, None, True)


def test_an_end_counts_from_its_own_time_and_not_from_when_it_was_noted() -> None:
    assert seen(4_899).was_there
    found = seen(4_901)
    assert (found.closed, found.code, found.was_there, found.written, found.at_most) == (4_900, 1000, False, 15, 20)


def test_all_of_them_at_once_are_each_as_if_asked_for_alone() -> None:
    for at in (None, *range(500, 6_000, 100)):
        assert sightings(NOTES, at) == {
            each: found for each in (1, 2, 3) if (found := sighting(NOTES, each, at)) is not None
        }
