"""Wide topics: heard across streams, from one position of the log on, each record once and in order."""

from __future__ import annotations

from core.dialect import Reach
from tests.actors.test_audience import Ear, Log, Plain


def test_who_is_tuned_hears_what_belongs_to_the_topic_and_nothing_else() -> None:
    log, ear = Log(), Ear()
    log.audiences.wide.tune("even", Plain(), ear).begin()
    log.audiences.wide.tune("odd", Plain(), Ear()).begin()
    log.deliver(None, None, None, None)
    assert ear.heard == ["even 2", "even 4"]


def test_what_comes_before_it_begins_is_held_and_shown_then() -> None:
    log, ear = Log(), Ear()
    tuning = log.audiences.wide.tune("even", Plain(), ear)
    log.deliver(None, None, None)
    assert ear.heard == []
    tuning.begin()
    log.deliver()
    assert ear.heard == ["even 2", "even 4"]


def test_who_left_hears_nothing_more_and_its_place_is_gone() -> None:
    log, ear = Log(), Ear()
    tuning = log.audiences.wide.tune("even", Plain(), ear)
    tuning.begin()
    log.deliver(None, None)
    tuning.leave()
    tuning.leave()
    log.deliver(None, None)
    assert ear.heard == ["even 2"]
    assert log.audiences.listeners == 0


def test_a_frame_for_the_others_does_not_come_back_to_its_sender() -> None:
    log = Log(origin="boot.2")
    ears = [Ear(f"boot.{n}") for n in (1, 2)]
    for ear in ears:
        log.audiences.wide.tune("even", Plain(to=Reach.OTHERS), ear).begin()
    log.deliver(None, None)
    assert [ear.heard for ear in ears] == [["even 2"], []]


def test_who_holds_too_much_is_closed_to_come_back() -> None:
    log, ear = Log(), Ear()
    log.audiences.wide.tune("even", Plain(), ear)
    log.deliver(*[None] * 20_010)
    assert ear.closes == [4008]
    assert log.audiences.listeners == 0


class Confused(Plain):
    def topics(self, record: object) -> tuple[str, ...]:
        raise ValueError("cannot be placed")


class Mute(Plain):
    def render_wide(self, record: object, topic: str) -> None:
        raise ValueError("cannot be said")


def test_a_dialects_fault_is_its_own_listeners_alone() -> None:
    log, well, confused, mute = Log(), Ear(), Ear(), Ear()
    for dialect, ear in ((Confused(), confused), (Mute(), mute), (Plain(), well)):
        log.audiences.wide.tune("even", dialect, ear).begin()
    log.deliver(None, None)
    assert (well.heard, well.closes) == (["even 2"], [])
    assert (confused.heard, confused.closes) == ([], [])
    assert (mute.heard, mute.closes) == ([], [1011])
