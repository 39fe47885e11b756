"""Wide topics: heard across streams, from one position of the log on, each record once and in order."""

from __future__ import annotations

from collections.abc import Sequence

from core.dialect import Reach
from core.messages import Recorded
from tests.actors.test_audience import Ear, Log, Plain
from tests.actors.toys import OTHER, TALLY


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


class OfStreams(Plain):
    """Each stream's records are a wide topic of their own, too."""

    def topics(self, record: Recorded) -> Sequence[str]:
        return "log", f"stream:{record.stream}"


def test_who_is_tuned_to_one_stream_alone_is_sent_away_when_that_is_told_anew() -> None:
    log, ears = Log(), {name: Ear() for name in ("hears", "holds", "another dialect", "another stream", "all")}
    tune, dialect = log.audiences.wide.tune, OfStreams()
    tune(f"stream:{TALLY}", dialect, ears["hears"]).begin()
    tune(f"stream:{TALLY}", dialect, ears["holds"])
    tune(f"stream:{TALLY}", OfStreams(), ears["another dialect"]).begin()
    tune(f"stream:{OTHER}", dialect, ears["another stream"]).begin()
    tune("log", dialect, ears["all"]).begin()
    log.audiences.send_away(TALLY)
    log.audiences.send_away(TALLY)
    assert {name for name, ear in ears.items() if ear.closes == [1012]} == {"hears", "holds", "another dialect"}
    log.deliver()
    assert [name for name, ear in ears.items() if ear.heard] == ["all"]
    assert log.audiences.listeners == 2


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
