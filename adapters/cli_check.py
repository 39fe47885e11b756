"""`callboard check`: whether today's code still decides what the log says was decided."""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import trio
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from adapters import priority
from adapters.cli_options import DEFAULT_STORE, Store, address, err, out
from adapters.setting_values import StoreAddress
from eventstore.turns import take_turns

if TYPE_CHECKING:
    from adapters.checking import Checked, Finding

SHOWN = 20
"""Findings told in full; of the others the event and the reason."""

Named = Annotated[
    str | None, typer.Option("--stream", help="This one alone; an id alone means a conversation", show_default=False)
]
Processes = Annotated[
    int | None, typer.Option(min=1, help="Processes that share the work; one a core by default", show_default=False)
]


def check(store: Store = DEFAULT_STORE, stream: Named = None, processes: Processes = None) -> None:
    """Decide every recorded command again with this version's code: does it lead to what the log has?"""
    place = address(store)
    if not take_turns(place.path or Path()):
        priority.take_all_cores()
    began = time.monotonic()
    checked: Checked = trio.run(partial(_check, place, stream, processes))
    for finding in checked.findings[:SHOWN]:
        out.print(_told(finding))
    for finding in checked.findings[SHOWN:]:
        out.print(Text(finding.event, "bold").append(f"  {finding.reason}", "default"))
    seconds = max(time.monotonic() - began, 1e-3)
    what = f"{checked.events:,} events in {checked.streams:,} streams, {checked.events / seconds:,.0f} a second"
    if checked.findings:
        count = len(checked.findings)
        where = "one stream" if count == 1 else f"{count:,} streams"
        told = f" in {where}; {what}"
        out.print(Text("Today's code differs from the log", "bold red").append(told, "default"))
        sys.exit(1)
    out.print(Text("Today's code decides what the log has", "bold green").append(f": {what}", "default"))


async def _check(store: StoreAddress, named: str | None, processes: int | None) -> Checked:
    from adapters import checking, history, opening  # so that other commands start quickly

    stream = None if named is None else history.stream_named(named)
    columns = TextColumn("checking"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    async with opening.open_history(store) as opened:
        with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
            task = bar.add_task("", total=opened.head if stream is None else None)

            def advance(share: Checked) -> None:
                bar.advance(task, share.events)

            work = partial(checking.check, store.path or Path(), advance, processes, stream)  # in memory: refused above
            checked: Checked = await trio.to_thread.run_sync(work)
    if stream is not None and not checked.streams:
        raise history.no_stream(stream)
    return checked


def _told(finding: Finding) -> Text:
    text = Text(finding.event, "bold").append(f"  {finding.reason}", "default")
    for what, lines in (("command", [finding.command]), ("in the log", finding.recorded), ("today", finding.today)):
        for line in filter(None, lines):
            text.append(f"\n  {what:10}  ", "dim").append(line, "default")
    if not finding.today and finding.recorded and "raises" not in finding.reason:
        text.append(f"\n  {'today':10}  ", "dim").append("nothing", "italic")
    return text
