from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from adapters.clients.outbox import Outbox, Parcel


def parcels(*numbers: int) -> list[Parcel]:
    return [Parcel(f"{n}", f"text {n}") for n in numbers]


def filled(most: int, *numbers: int) -> Outbox:
    outbox = Outbox(most=most)
    for parcel in parcels(*numbers):
        outbox.add(parcel)
    return outbox


def ids(outbox: Outbox) -> list[str]:
    found: list[str] = []
    while (parcel := outbox.take()) is not None:
        found.append(parcel.id)
    return found


def test_what_waits_is_taken_in_its_order() -> None:
    assert ids(filled(5, 1, 2, 3)) == ["1", "2", "3"]


def test_a_full_one_drops_the_oldest_and_says_so() -> None:
    outbox = filled(2, 1, 2)
    assert outbox.add(*parcels(3)) == parcels(1)
    assert (list(outbox.dropped), outbox.dropped_count) == (parcels(1), 1)
    assert ids(outbox) == ["2", "3"]


def test_it_is_bounded_in_bytes_but_takes_one_of_any_size() -> None:
    outbox = Outbox(most_bytes=10)
    assert outbox.add(Parcel("1", "x" * 100)) == []
    assert [parcel.id for parcel in outbox.add(Parcel("2", "x"))] == ["1"]


def test_what_is_under_way_is_sent_again_before_all_else_unless_it_was_confirmed() -> None:
    outbox = filled(9, 1, 2, 3, 4)
    for at in (1.0, 2.0, 3.0):
        parcel = outbox.take()
        assert parcel is not None
        outbox.sent(parcel, at)
    outbox.confirm(before=2.0)
    assert outbox.under_way == 2
    assert outbox.take_back() == []
    assert ids(outbox) == ["2", "3", "4"]


def test_what_could_not_be_sent_is_the_next_again() -> None:
    outbox = filled(9, 1, 2)
    parcel = outbox.take()
    assert parcel is not None
    assert outbox.put_back(parcel) == []
    assert ids(outbox) == ["1", "2"]


def test_giving_up_drops_what_waits() -> None:
    outbox = filled(9, 1, 2)
    assert outbox.give_up() == parcels(1, 2)
    assert (len(outbox), outbox.dropped_count) == (0, 2)


@given(st.lists(st.sampled_from(["add", "take", "sent", "back", "confirm", "again"])), st.integers(1, 4))
def test_whatever_happens_nothing_is_lost_without_a_word_and_the_order_stays(moves: list[str], most: int) -> None:
    outbox, number, taken = Outbox(most=most), 0, list[Parcel]()
    confirmed: list[str] = []
    for at, move in enumerate(moves):
        match move:
            case "add":
                number += 1
                outbox.add(*parcels(number))
            case "take" if not taken and (parcel := outbox.take()) is not None:
                taken.append(parcel)
            case "sent" if taken:
                outbox.sent(taken[0], at)
                confirmed.append(taken.pop().id)
            case "back" if taken:
                outbox.put_back(taken.pop())
            case "confirm":
                outbox.confirm(before=at)
            case "again" if not taken:
                outbox.take_back()
            case _:
                pass
        assert len(outbox) <= most
    waiting = ids(outbox)
    assert waiting == sorted(waiting, key=int)
    dropped = [parcel.id for parcel in outbox.dropped]
    assert {*waiting, *dropped, *confirmed, *(parcel.id for parcel in taken)} == {str(n + 1) for n in range(number)}
