"""What looking back costs on a log of a million events."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import trio

from core.decider import CommandRejected
from eventstore.audit import AuditLog, Filters
from eventstore.chain import GENESIS, Row, link
from eventstore.codec import events
from eventstore.cursors import Place, cursor_at
from eventstore.index import Index
from tests.benchmarks.backups import measure_backup
from tests.benchmarks.living import measure_exports, measure_gate, measure_living
from tests.benchmarks.load import insert_raw, raw_connection, rows
from tests.benchmarks.proofs import measure_proofs
from tests.benchmarks.report import Bench

EVENTS = 1_000_000
STREAMS = 10_000
MOST_FOR_A_PAGE = 50.0
"""Milliseconds."""
END = 1 << 62
DEEP = 0.9
"""Where in the log a deep page begins."""

REFUSED = events.encode(CommandRejected("busy", "come back later"))


def measure(bench: Bench) -> None:
    for each in (measure_audit, measure_proofs, measure_backup, measure_exports, measure_gate, measure_living):
        each(bench)


def measure_audit(bench: Bench) -> None:
    """Each filter's first page and a deep one, of a hundred entries."""
    path, count = bench.folder / "audit.db", bench.commands(EVENTS)
    varied(path, count, max(1, count * STREAMS // EVENTS))
    began = time.perf_counter()
    trio.run(Index(path).level)
    seconds = time.perf_counter() - began
    size = path.with_name(f"{path.name}-index").stat().st_size / 1e6
    bench.report("index beside the log", f"{count / seconds:,.0f} events a second, {size:.0f} MB", None, "", None)
    trio.run(_pages, bench, path, count)


def varied(path: Path, count: int, streams: int) -> None:
    """A log with people who are seldom there, refusals, causes, connections and words that few events have."""
    connection = raw_connection(path)
    head, made = GENESIS, list[Row]()
    for row in _varied(rows(streams, count), streams):
        head = link(head, row)
        made.append((*row, head))
    insert_raw(connection, made, 20_000)
    connection.close()


def _varied(made: list[Row], streams: int) -> Iterator[Row]:
    for n, row in enumerate(made):
        position, stream, version, name, body, at, correlation, *_, command, _ = row
        principal = f"person-{n % 997}" if n % 3 == 0 else "anonymous"
        cause = f"{stream}@{version - 1}" if n % 10 == 0 and version > 1 else None
        if n % 50 == 0:
            name, body = REFUSED
        elif n % 1000 == 1:
            body = body.replace(b"hello", b"zanzibar")
        if n % streams % 20 == 0:
            stream = stream.replace("conversation", "session")
        yield (
            position,
            stream,
            version,
            name,
            body,
            at,
            correlation,
            cause,
            f"c-{n}",
            principal,
            f"b.{n // 300}",
            command,
        )


def questions(count: int) -> dict[str, Filters]:
    middle = count // 2
    return {
        "everything": Filters(),
        "a category": Filters(category="session"),
        "an event's name": Filters(event="conversation.interim_heard"),
        "a principal": Filters(principal="person-7"),
        "a connection": Filters(origin=f"b.{middle // 300}"),
        "refusals": Filters(rejected=True),
        "a common word": Filters(text="fine"),
        "a rare word": Filters(text="zanzibar"),
        "the beginning of a word": Filters(text="zanz*"),
        "a phrase": Filters(text='"fine day"'),
        "a word and a principal": Filters(text="hello", principal="person-7"),
        "a category and refusals": Filters(category="session", rejected=True),
        "two that never meet": Filters(rejected=True, event="conversation.interim_heard"),
    }


async def _pages(bench: Bench, path: Path, count: int) -> None:
    audit = AuditLog(path)
    (entry,) = (await audit.page(Filters(rejected=False), limit=1)).entries
    (late,) = (await audit.page(Filters(rejected=False), limit=1, newest_first=True)).entries
    middle = (entry.time + late.time) // 2
    asked = questions(count) | {
        "a stream": Filters(stream=entry.stream),
        "a correlation": Filters(correlation=entry.correlation),
        "a command": Filters(command_id=f"c-{count // 2}"),
        "a cause": Filters(causation=f"{entry.stream}@1"),
        "half of the time": Filters(since=middle),
        "a word in a tenth of the time": Filters(text="hello", since=middle, until=middle + (late.time - middle) // 5),
    }
    for name, filters in asked.items():
        first, deep = await _first(audit, filters), await _first(audit, filters, int(count * DEEP))
        figure = f"first {first:.1f} ms, deep {deep:.1f} ms"
        holds = max(first, deep) <= MOST_FOR_A_PAGE
        bench.report(f"audit: {name}", figure, None, f"≤ {MOST_FOR_A_PAGE:.0f} ms", holds, first=first, deep=deep)
    audit.close()


async def _first(audit: AuditLog, filters: Filters, after: int = 0) -> float:
    """Milliseconds of the first page behind a position, the better of two."""
    return min([await _took(audit, filters, after) for _ in range(2)])


async def _took(audit: AuditLog, filters: Filters, after: int) -> float:
    began = time.perf_counter()
    await audit.page(filters, cursor=cursor_at(Place(after, END), filters))
    return (time.perf_counter() - began) * 1e3
