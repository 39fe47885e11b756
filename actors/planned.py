"""What an actor has decided and not yet appended, and what it answers once that is durable."""

from __future__ import annotations

from typing import Any

from actors.mailbox import Letter
from core.decider import Rejected
from core.messages import Accepted, Decision, Outcome, Recorded, Refused


class Planned:
    """A letter decided but not yet durable: what to append, and what to answer once it is."""

    __slots__ = ("decision", "letter", "rejection", "state", "version")

    def __init__(
        self, letter: Letter, decision: Decision | None, rejection: Rejected | None, state: Any, version: int
    ) -> None:
        self.letter, self.decision, self.rejection = letter, decision, rejection
        self.state, self.version = state, version


def outcomes_of(planned: list[Planned], records: tuple[Recorded, ...]) -> list[Outcome]:
    """What to answer to each, now that `records` are durable."""
    outcomes, at = list[Outcome](), 0
    for plan in planned:
        size = len(plan.decision.events) if plan.decision is not None else 0
        mine = records[at : at + size]
        at += size
        rejection = plan.rejection
        outcomes.append(Refused(rejection, mine) if rejection else Accepted(mine, plan.state, plan.version))
    return outcomes


def may_be_repeated(plan: Planned) -> bool:
    """Decided to nothing, or to a refusal that keeps no id, although the letter has one."""
    unchecked = plan.decision is None or plan.decision.stamp.command_id is None
    return unchecked and plan.letter.stamp.command_id is not None and plan.version > 0
