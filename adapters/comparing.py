"""Two streams beside each other from where they part: as two columns, or one below the other where it is narrow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from msgspec import Struct
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from adapters.forking import FORKABLE
from adapters.records import as_object
from adapters.timeline import Row, Teller
from core import call, conversation
from core.decider import AnyDecider
from core.identifiers import StreamName
from core.lineage import Forked, lineage
from core.messages import Recorded

NARROW = 100
"""Columns below which there is no room for two streams beside each other."""
LEFT_OUT = conversation.PhaseEntered | conversation.ReplyPieceAdded | call.ResponsePieceAdded | call.TurnPassed | Forked
"""What the rest tells: the phases go with what is said, the pieces of an answer with its whole; and forks are named."""
SAID = conversation.MessageSaid | call.ResponseRequired


Line = tuple[Text, Text]
"""When, and what."""
Exchanges = Iterator[tuple[tuple[Line, ...], ...]]


class Told(Struct, frozen=True):
    """A stream, its events, and where it was forked from, if it was."""

    stream: StreamName
    records: Sequence[Recorded]

    @property
    def forked(self) -> Forked | None:
        found = lineage(self.records)
        return None if found is None else found[1]


class Comparison(Struct, frozen=True):
    """Two streams; `common` is the version up to which their events are the same."""

    one: Told
    other: Told
    common: int


def compare(one: Told, other: Told) -> Comparison:
    """Where they part. A fork has the events of its source, so that its lineage need not be believed."""
    pairs = zip(one.records, other.records, strict=False)
    shorter = min(len(one.records), len(other.records))
    common = next((n for n, (left, right) in enumerate(pairs) if left.event != right.event), shorter)
    return Comparison(one, other, common)


def as_json(comparison: Comparison) -> Mapping[str, Any]:
    """All that is different, for programs."""
    return {"common": comparison.common, "streams": [_side(it, comparison.common) for it in _sides(comparison)]}


def _sides(comparison: Comparison) -> tuple[Told, Told]:
    return comparison.one, comparison.other


def _side(told: Told, common: int) -> Mapping[str, Any]:
    events = [as_object(record) for record in told.records[common:]]
    return {"stream": str(told.stream), "version": len(told.records), "lineage": told.forked, "events": events}


def tell(comparison: Comparison, decider: AnyDecider, width: int) -> RenderableType:
    """As a timeline, in so many columns."""
    exchanges = zip_longest(*(_exchanges(it, comparison.common, decider) for it in _sides(comparison)), fillvalue=())
    side_by_side = width >= NARROW
    body = _beside(comparison, exchanges) if side_by_side else _below(comparison, exchanges)
    return Group(_heading(comparison), body)


def _heading(comparison: Comparison) -> Text:
    common, (one, other) = comparison.common, _sides(comparison)
    if not common:
        return Text("They have nothing in common.", "bold")
    parted = "and there they are the same" if common == len(one.records) == len(other.records) else "then they part"
    return Text(f"The same up to version {common}, {parted}.", "bold")


def _exchanges(told: Told, common: int, decider: AnyDecider) -> Iterator[tuple[Line, ...]]:
    """What was told from there on: before anything was said to the assistant, and then with each thing that was."""
    teller, part, begin = Teller(decider), list[Line](), 0
    list(teller.rows(told.records[:common]))
    records = [record for record in told.records[common:] if not isinstance(record.event, LEFT_OUT)]
    for record in records:
        begin = begin or record.stamp.time
        if _is_said(record.event):
            yield tuple(part)
            part = []
        for row in teller.rows([record]):
            part.append(_line(row, begin))
    yield tuple(part)


def _is_said(event: Any) -> bool:
    match event:
        case conversation.MessageSaid(role=role):
            return role is conversation.Role.USER
        case _:
            return isinstance(event, SAID)


def _line(row: Row, begin: int) -> Line:
    after = f"{(row.time - begin) / 1e6:+.1f} s"
    return Text(f"{row.versions[0]:>4} {after:>9}", "dim"), Text(f"{row.who}: ", "bold").append_text(row.what)


def _name(told: Told) -> Text:
    text = Text(str(told.stream), "bold cyan")
    if (forked := told.forked) is None:
        return text
    changes = {name: getattr(forked, name, None) for name in ("model", "prompt", "personality", "topic")}
    different = ", ".join(f"{name} {value[:60]!r}" for name, value in changes.items() if value)
    text.append(f"\nforked from {forked.source} at {forked.version}", "dim")
    return text.append(f": {different}" if different else "", "dim")


def _beside(comparison: Comparison, exchanges: Exchanges) -> Table:
    table = Table(box=box.SIMPLE_HEAD, expand=True, show_lines=False)
    for told in _sides(comparison):
        table.add_column(no_wrap=True)
        table.add_column(_name(told), ratio=1, overflow="fold")
    for pair in exchanges:
        for left, right in zip_longest(*pair, fillvalue=(Text(), Text())):
            table.add_row(*left, *right)
        if any(pair):
            table.add_row()
    return table


def _below(comparison: Comparison, exchanges: Exchanges) -> Group:
    parts = list[RenderableType]()
    for pair in exchanges:
        for told, lines in zip(_sides(comparison), pair, strict=True):
            if lines:
                parts += [Text(str(told.stream), "bold cyan"), _table(lines)]
        parts.append(Text())
    return Group(*(_name(told) for told in _sides(comparison)), Text(), *parts)


def _table(lines: Iterable[Line]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    for line in lines:
        table.add_row(*line)
    return table


def decider_for(one: StreamName, other: StreamName) -> AnyDecider | None:
    """Of the kind both are of; None where that is none that can be compared."""
    return FORKABLE.get(one.category) if one.category is other.category else None
