"""What caused an event, and what it caused, across streams.

A decision is one command and the events it led to. Its command came from outside, or of an event: then that is its
causation, and it is of the same correlation. So all that one command from outside led to is one correlation: a tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Raw, Struct

from adapters.records import iso
from eventstore.audit import Entry
from eventstore.codec import stored_command

DEEPEST = 200
"""Decisions within each other that are told; of those below it is told how many. What nests deeper few can read."""
_Event = tuple[str, int]


class Decision(Struct, frozen=True):
    """A command and its events, none of which is missing. `effects` are the decisions they caused, in their order."""

    entries: tuple[Entry, ...]
    effects: tuple[Decision, ...] = ()

    @property
    def first(self) -> Entry:
        return self.entries[0]

    @property
    def stream(self) -> str:
        return self.first.stream

    @property
    def versions(self) -> tuple[int, int]:
        return self.first.version, self.entries[-1].version

    @property
    def command(self) -> str:
        """The command's stored name, "" where the log has none."""
        return "" if self.first.command is None else stored_command(self.first.command).name

    @property
    def body(self) -> str:
        """The command's fields, as JSON."""
        return "{}" if self.first.command is None else bytes(stored_command(self.first.command).body).decode()


class Story(Struct, frozen=True):
    """`causes` are the decisions that led to the event's own, from the command that came from outside on; `told` is the
    event's own with all it caused; `others` came from outside beside the first, in the same correlation."""

    event: str
    correlation: str
    causes: tuple[Decision, ...]
    told: Decision
    others: tuple[Decision, ...]


def size(story: Story) -> int:
    """How many events are told of."""
    decisions, events = [*story.causes, story.told, *story.others], 0
    for decision in decisions:
        events += len(decision.entries)
        decisions += decision.effects
    return events


def below(decisions: Sequence[Decision]) -> int:
    """How many decisions these led to, however deep."""
    count, wait = 0, list(decisions)
    while wait:
        effects = wait.pop().effects
        count += len(effects)
        wait += effects
    return count


def story_of(event: str, entries: Iterable[Entry]) -> Story:
    """Of an event among the entries, which are whole correlations. Raises KeyError where it is not."""
    decisions = list(_decisions(sorted(entries, key=lambda entry: (entry.stream, entry.version))))
    of_event = {_id(entry): decision for decision in decisions for entry in decision.entries}
    caused: dict[_Event, list[Decision]] = {}
    for decision in sorted(decisions, key=lambda decision: decision.first.position):
        if decision.first.causation in of_event:
            caused.setdefault(_key(of_event[decision.first.causation]), []).append(decision)
    own = of_event[event]
    causes = list(_causes(own, of_event))
    roots = [decision for decision in decisions if decision.first.causation is None]
    first = (causes or [own])[-1]
    others = tuple(root for root in roots if root is not first and root.first.correlation == own.first.correlation)
    return Story(event, own.first.correlation, tuple(reversed(causes)), _with_effects(own, caused), others)


def _id(entry: Entry) -> str:
    return f"{entry.stream}@{entry.version}"


def _key(decision: Decision) -> _Event:
    return decision.stream, decision.first.version


def _decisions(entries: Sequence[Entry]) -> Iterator[Decision]:
    """Only the first event of a decision has its command."""
    own: list[Entry] = []
    for entry in entries:
        if own and (entry.command is not None or entry.stream != own[0].stream):
            yield Decision(tuple(own))
            own = []
        own.append(entry)
    if own:
        yield Decision(tuple(own))


def _causes(decision: Decision, of_event: Mapping[str, Decision]) -> Iterator[Decision]:
    """From the nearest on. No event can be its own cause; who has written that into a log is not followed for ever."""
    seen = {_key(decision)}
    while (cause := of_event.get(decision.first.causation or "")) is not None and _key(cause) not in seen:
        seen.add(_key(cause))
        yield cause
        decision = cause


def _with_effects(own: Decision, caused: Mapping[_Event, Sequence[Decision]]) -> Decision:
    """Without recursion: what causes what may go as deep as a log is long."""
    order, seen = [own], {_key(own)}
    for decision in order:
        fresh = [effect for effect in caused.get(_key(decision), ()) if _key(effect) not in seen]
        seen.update(map(_key, fresh))
        order += fresh
    whole: dict[_Event, Decision] = {}
    for decision in reversed(order):
        effects = [whole.pop(_key(effect)) for effect in caused.get(_key(decision), ()) if _key(effect) in whole]
        whole[_key(decision)] = Decision(decision.entries, tuple(effects))
    return whole[_key(own)]


# --- as JSON --------------------------------------------------------------------------------------------------------


def as_object(story: Story) -> dict[str, Any]:
    """For programs: `callboard why --json` and /api/audit/causes."""
    return {
        "event": story.event,
        "correlation_id": story.correlation,
        "causes": [_decision_as_object(decision) for decision in story.causes],
        "decision": _decision_as_object(story.told),
        "others": [_decision_as_object(decision) for decision in story.others],
    }


def _decision_as_object(decision: Decision, depth: int = 1) -> dict[str, Any]:
    first, is_deepest = decision.first, depth >= DEEPEST
    return {
        "stream": decision.stream,
        "command": None if first.command is None else Raw(first.command.encode()),
        "command_id": first.command_id,
        "time": iso(first.time),
        "principal": first.principal,
        "origin": first.origin,
        "causation_id": first.causation,
        "events": [
            {"version": entry.version, "event": entry.event, "payload": Raw(entry.payload.encode())}
            for entry in decision.entries
        ],
        "effects": [] if is_deepest else [_decision_as_object(effect, depth + 1) for effect in decision.effects],
        "more_below": below([decision]) if is_deepest else 0,
    }
