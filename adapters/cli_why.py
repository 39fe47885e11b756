"""`callboard why EVENT`: what caused an event, and what it caused, across streams."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import trio
import typer
from rich.text import Text
from rich.tree import Tree

from adapters.cli_options import DEFAULT_STORE, AsJSON, Store, address, err, out
from adapters.setting_values import StoreAddress, Unusable

if TYPE_CHECKING:
    from adapters.causes import Decision, Story

Event = Annotated[str, typer.Argument(help="An event, e.g. conversation-<id>@17", show_default=False)]


def why(event: Event, store: Store = DEFAULT_STORE, as_json: AsJSON = False) -> None:
    """Tell what caused an event, from the command that came from outside on, and all that the event caused."""
    from msgspec import json

    from adapters.causes import as_object  # only this command needs it

    story = trio.run(partial(_story, address(store), event))
    if as_json:
        out.out(json.encode(as_object(story)).decode(), highlight=False)
    else:
        out.print(_tree(story))


async def _story(store: StoreAddress, text: str) -> Story:
    from adapters import audit_desk, history, opening
    from adapters.asking_why import NoSuchEvent, TooMuchToTell, opened_audit_log, story
    from adapters.auditing import access
    from adapters.causes import size
    from eventstore.audit import Filters

    parts = re.fullmatch(r"(.+)@([1-9]\d{0,15})", text)
    if parts is None:
        raise Unusable(f"{text[:140]!r} names no event; write STREAM@VERSION, e.g. conversation-<id>@17")
    stream = history.stream_named(parts[1])
    async with opening.open_history(store) as opened, opened_audit_log(store, opened) as log:
        try:
            told = await story(opened, log, stream, int(parts[2]))
        except NoSuchEvent as reason:
            raise history.NoSuchHistory(f"{reason}; `callboard log show` shows which there are") from None
        except TooMuchToTell as reason:
            raise history.NoSuchHistory(str(reason)) from None
        head = opened.head
    note = access("causes", Filters(stream=str(stream)), size(told), head, version=int(parts[2]))
    await audit_desk.recorded(store, note, err.print)
    return told


# --- in words -------------------------------------------------------------------------------------------------------


def _tree(story: Story) -> Tree:
    """From the first cause down to the event's own decision, and on to all that it caused."""
    from adapters.causes import DEEPEST

    first, *chain = (*story.causes, story.told)
    root = branch = Tree(_told((first,), None, story.event), guide_style="dim")
    if (untold := len(chain) - DEEPEST) > 0:
        branch.add(_more(untold, "between"))
    for before, decision in tuple(zip((first, *chain), chain, strict=False))[-DEEPEST:]:
        branch = branch.add(_told((decision,), before, story.event))
    _grow(branch, (story.told,))
    if story.others:
        beside = root.add(Text("also of this correlation, from outside:", "dim"))
        for other in story.others:
            beside.add(_told((other,), None, story.event))
    return root


def _grow(branch: Tree, causes: Sequence[Decision], depth: int = 1) -> None:
    """What these caused; the same command told again and again is one line."""
    from adapters.causes import DEEPEST, below

    if depth >= DEEPEST:
        if untold := below(causes):
            branch.add(_more(untold, "below"))
        return
    effects = sorted((effect for cause in causes for effect in cause.effects), key=lambda one: one.first.position)
    for alike in _runs(effects):
        _grow(branch.add(_told(alike, causes[0], "")), alike, depth + 1)


def _more(untold: int, where: str) -> Text:
    return Text(f"… {untold:,} more {where}", "dim")


def _runs(effects: Iterable[Decision]) -> Iterator[tuple[Decision, ...]]:
    for _, run in groupby(effects, lambda effect: (effect.stream, effect.command)):
        yield tuple(run)


def _told(alike: Sequence[Decision], before: Decision | None, asked: str) -> Text:
    """`before`: what it came of; None for what came from outside."""
    from adapters.timeline import clock_time

    first = alike[0].first
    times = f" ×{len(alike)}" if len(alike) > 1 else ""
    line = Text(f"{_command(alike[0])}{times}", "bold")
    after = f"+{(first.time - before.first.time) / 1e3:,.0f} ms" if before else clock_time(first.time)
    line.append(f"  {first.stream if before is None or before.stream != first.stream else ''}", "cyan")
    line.append(f"@{_versions(alike)}", "cyan").append(f"  {after} · {_who(alike[0])}", "dim")
    for text in _happened(alike, asked):
        line.append("\n  ").append_text(text)
    return line


def _command(decision: Decision) -> str:
    return decision.command.rpartition("/")[0] or "(no command)"


def _versions(alike: Sequence[Decision]) -> str:
    first, last = alike[0].versions[0], alike[-1].versions[1]
    return f"{first}" if first == last else f"{first}–{last}"


def _who(decision: Decision) -> str:
    first = decision.first
    return f"{first.principal}{f' via {first.origin}' if first.origin else ''}"


def _happened(alike: Sequence[Decision], asked: str) -> Iterator[Text]:
    """What the events say; of a run the last one's. The one that is asked about is marked."""
    from adapters.telling import Devices, describe
    from eventstore.codec import events

    for entry in alike[-1].entries:
        mark = Text("▶ ", "bold magenta") if f"{entry.stream}@{entry.version}" == asked else Text("")
        words = describe(events.decode(entry.event, entry.payload), Devices())
        yield mark.append(f"{entry.version} {entry.event.rpartition('/')[0]}  ", "dim").append_text(words)
