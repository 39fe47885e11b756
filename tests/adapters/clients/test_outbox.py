from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.clients.outbox import Outbox, Pace, Parcel


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
    assert (list(outbox.dropped.parcels), outbox.dropped.count) == (parcels(1), 1)
    assert ids(outbox) == ["2", "3"]


def test_it_is_bounded_in_bytes_but_takes_one_of_any_size() -> None:
    outbox = Outbox(most_bytes=10)
    assert outbox.add(Parcel("1", "x" * 100)) == []
    assert [parcel.id for parcel in outbox.add(Parcel("2", "x"))] == ["1"]


def send(outbox: Outbox, count: int = 1) -> None:
    for _ in range(count):
        parcel = outbox.take()
        assert parcel is not None
        outbox.sent(parcel)


def test_what_is_under_way_is_sent_again_before_all_else_unless_it_was_confirmed() -> None:
    outbox = filled(9, 1, 2, 3, 4)
    send(outbox)
    receipt = outbox.sent_count
    send(outbox, 2)
    outbox.confirm(receipt)
    assert outbox.under_way == 2
    outbox.take_back()
    assert ids(outbox) == ["2", "3", "4"]


def test_a_receipt_for_what_was_taken_back_since_confirms_nothing() -> None:
    outbox = filled(9, 1, 2)
    send(outbox, 2)
    receipt = outbox.sent_count
    outbox.take_back()
    send(outbox, 2)
    outbox.confirm(receipt)
    assert outbox.under_way == 2


def test_what_could_not_be_sent_is_the_next_again() -> None:
    outbox = filled(9, 1, 2)
    parcel = outbox.take()
    assert parcel is not None
    outbox.put_back(parcel)
    assert ids(outbox) == ["1", "2"]


def test_what_was_taken_back_is_never_dropped_for_something_else() -> None:
    outbox = filled(2, 1, 2)
    send(outbox, 2)
    assert outbox.add(*parcels(3)) == outbox.add(*parcels(4)) == []
    outbox.take_back()
    assert outbox.add(*parcels(5)) == parcels(3)
    assert ids(outbox) == ["1", "2", "4", "5"]


@pytest.mark.parametrize("outbox", [Outbox(most_under_way=2), Outbox(most_bytes=12)])
def test_nothing_more_is_sent_while_too_much_is_not_confirmed(outbox: Outbox) -> None:
    for parcel in parcels(1, 2, 3):
        outbox.add(parcel)
        if len(outbox) and not outbox.is_full:
            send(outbox)
    assert (outbox.is_full, outbox.take(), len(outbox)) == (True, None, 1)
    outbox.confirm(1)
    assert ids(outbox) == ["3"]


def test_a_pace_lets_a_burst_go_at_once_and_then_so_many_a_second() -> None:
    pace = Pace(limit=10.0, burst=3)
    assert [round(pace.take(100.0), 9) for _ in range(5)] == [0.0, 0.0, 0.0, 0.1, 0.2]
    assert round(pace.take(100.25), 9) == 0.05
    assert [round(pace.take(200.0), 9) for _ in range(4)] == [0.0, 0.0, 0.0, 0.1]


def test_giving_up_drops_what_waits_and_is_not_sure_of_what_was_sent() -> None:
    outbox = filled(9, 1, 2, 3, 4)
    send(outbox, 2)
    outbox.take_back()
    send(outbox)
    assert outbox.give_up() == parcels(3, 4)
    assert (len(outbox), outbox.dropped.count) == (0, 2)
    assert list(outbox.unsure.parcels) == parcels(1, 2)


moves = st.sampled_from(["add", "take", "sent", "back", "note", "confirm", "again", "let go"])


@given(st.lists(moves), st.integers(1, 4))
def test_whatever_happens_nothing_is_lost_without_a_word_and_the_order_stays(moves: list[str], most: int) -> None:
    outbox, number, taken = Outbox(most=most, most_under_way=most), 0, list[Parcel]()
    tried, receipt = set[str](), 0
    for move in moves:
        match move:
            case "add":
                number += 1
                outbox.add(*parcels(number))
            case "take" if not taken and (parcel := outbox.take()) is not None:
                taken.append(parcel)
                tried.add(parcel.id)
            case "sent" if taken:
                outbox.sent(taken.pop())
            case "back" if taken:
                outbox.put_back(taken.pop())
            case "note":
                receipt = outbox.sent_count
            case "confirm":
                outbox.confirm(receipt)
            case "again" if not taken:
                outbox.take_back()
            case "let go":
                outbox.let_go()
            case _:
                pass
        assert len(outbox) + outbox.under_way <= 3 * most
    outbox.take_back()
    waiting = ids(outbox)
    dropped, unsure = ([parcel.id for parcel in lost.parcels] for lost in (outbox.dropped, outbox.unsure))
    assert waiting == sorted(waiting, key=int)
    assert dropped == sorted(dropped, key=int)
    assert not tried & set(dropped), "what was perhaps sent is not called dropped"
    assert set(unsure) <= tried
    assert {*tried, *waiting, *dropped} == {str(n + 1) for n in range(number)}
