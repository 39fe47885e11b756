"""What is done with the log itself is on record."""

from __future__ import annotations

from core.audit import Accessed, Deeds, NoteAccess, RecordForgetting, SubjectForgotten, audit
from core.specification import given

TOLD = Accessed("search", {"stream": "call-1", "rejected": True}, 3, 17)
FORGOTTEN = SubjectForgotten("person:ann", ("k",), 2, 1)


def test_whatever_was_told_is_on_record() -> None:
    verdict = given(audit).when(NoteAccess("search", {"stream": "call-1", "rejected": True}, 3, 17)).then(TOLD)
    verdict.leads_to(accesses=1).wants()


def test_whoever_was_forgotten_is_on_record() -> None:
    given(audit, TOLD).when(RecordForgetting("person:ann", ("k",), 2, 1)).then(FORGOTTEN).leads_to(forgotten=1)


def test_a_day_s_record_is_never_closed() -> None:
    state = given(audit, TOLD, FORGOTTEN, TOLD).state
    assert state == Deeds(2, 1)
    assert not audit.is_terminal(state)
