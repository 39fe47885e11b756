"""The mailbox: bounded, first in first out, and never in the way of who puts."""

from __future__ import annotations

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.mailbox import Letter, Mailbox
from core.messages import Busy, Outcome, Stamp, Unavailable


def letter(name: str) -> Letter:
    return Letter(name, Stamp("", 0), lambda _: None)


def names(letters: list[Letter]) -> list[str]:
    return [letter.command for letter in letters]


def filled(*letters: str, limit: int = 10) -> Mailbox:
    mailbox = Mailbox(limit)
    for name in letters:
        assert mailbox.put(letter(name))
    return mailbox


async def test_letters_come_out_in_the_order_they_went_in(autojump_clock: MockClock) -> None:
    assert names(await filled("a", "b", "c").take(10)) == ["a", "b", "c"]


async def test_no_more_letters_are_taken_than_asked_for(autojump_clock: MockClock) -> None:
    mailbox = filled("a", "b", "c")
    assert names(await mailbox.take(2)) == ["a", "b"]
    assert names(await mailbox.take(2)) == ["c"]


def test_a_full_mailbox_takes_no_letter() -> None:
    mailbox = filled("a", "b", limit=2)
    assert not mailbox.put(letter("c"))
    assert len(mailbox) == 2


def test_taking_makes_room() -> None:
    mailbox = filled("a", "b", limit=2)
    mailbox.take_nowait(1)
    assert mailbox.put(letter("c"))
    assert names(mailbox.take_nowait(10)) == ["b", "c"]


def test_letters_put_back_are_first_again_and_in_their_order() -> None:
    mailbox = filled("a", "b", "c")
    taken = mailbox.take_nowait(2)
    mailbox.put_back(taken)
    assert names(mailbox.take_nowait(10)) == ["a", "b", "c"]


def test_letters_put_back_into_a_full_mailbox_are_not_lost() -> None:
    mailbox = filled("a", "b", limit=2)
    taken = mailbox.take_nowait(2)
    assert mailbox.put(letter("c"))
    mailbox.put_back(taken)
    assert not mailbox.put(letter("d"))
    assert names(mailbox.take_nowait(10)) == ["a", "b", "c"]


def test_a_closed_mailbox_takes_no_letter() -> None:
    mailbox = Mailbox(10)
    mailbox.close()
    assert not mailbox.put(letter("a"))


async def test_a_closed_mailbox_gives_out_what_is_inside_and_then_nothing(autojump_clock: MockClock) -> None:
    mailbox = filled("a")
    mailbox.close()
    assert names(await mailbox.take(10)) == ["a"]
    assert await mailbox.take(10) == []


async def test_a_waiting_reader_is_woken_by_a_letter(autojump_clock: MockClock) -> None:
    mailbox, taken = Mailbox(10), list[str]()

    async def read() -> None:
        taken.extend(names(await mailbox.take(10)))

    with trio.fail_after(1):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
            mailbox.put(letter("a"))
            mailbox.put(letter("b"))
    assert taken == ["a", "b"]


async def test_a_waiting_reader_is_woken_by_closing(autojump_clock: MockClock) -> None:
    mailbox, taken = Mailbox(10), list[list[Letter]]()

    async def read() -> None:
        taken.append(await mailbox.take(10))

    with trio.fail_after(1):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
            mailbox.close()
    assert taken == [[]]


async def test_a_cancelled_reader_takes_no_letter_with_it(autojump_clock: MockClock) -> None:
    mailbox = Mailbox(10)
    with trio.move_on_after(1):
        await mailbox.take(10)
    mailbox.put(letter("a"))
    assert names(await mailbox.take(10)) == ["a"]


async def test_a_reader_cancelled_at_the_moment_of_a_letter_gets_it_or_leaves_it(autojump_clock: MockClock) -> None:
    mailbox, taken = Mailbox(10), list[str]()

    async def read(scope: trio.CancelScope) -> None:
        with scope:
            taken.extend(names(await mailbox.take(10)))

    for cancel_first in (True, False):
        scope = trio.CancelScope()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read, scope)
            await trio.testing.wait_all_tasks_blocked()
            if cancel_first:
                scope.cancel()
            mailbox.put(letter("a"))
            scope.cancel()
        assert taken + names(mailbox.take_nowait(10)) == ["a"]
        taken.clear()


def test_a_letter_is_settled_once() -> None:
    told = list[Outcome]()
    once = Letter("a", Stamp("", 0), told.append)
    settled = [once.settled]
    for outcome in (Busy(), Unavailable("later")):
        once.settle(outcome)
        settled.append(once.settled)
    assert settled == [False, True, True]
    assert told == [Busy()]


@given(st.integers(1, 5), st.lists(st.one_of(st.just("put"), st.integers(0, 4), st.just("back")), max_size=40))
def test_whatever_is_done_no_letter_is_lost_doubled_or_overtaken(limit: int, steps: list[str | int]) -> None:
    mailbox, accepted, done, in_hand = Mailbox(limit), list[str](), list[str](), list[Letter]()
    for number, step in enumerate(steps):
        if step == "put":
            full = len(mailbox) >= limit
            assert mailbox.put(letter(str(number))) is not full
            accepted += [] if full else [str(number)]
        elif step == "back":
            mailbox.put_back(in_hand)
            in_hand = []
        else:
            done += names(in_hand)
            in_hand = mailbox.take_nowait(int(step))
    assert done + names(in_hand) + names(mailbox.take_nowait(1000)) == accepted
