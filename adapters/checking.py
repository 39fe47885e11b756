"""`callboard check`: the replay gate over a whole log, in several processes, each with a share of the streams."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import closing
from functools import partial
from pathlib import Path

from msgspec import Struct

from adapters import priority
from adapters.encryption import key_file_named, master_key
from adapters.opening import DECIDERS
from core.decider import AnyDecider
from core.gate import Divergence, StreamGate
from core.identifiers import Category, StreamName
from eventstore.archives import reading
from eventstore.codec import commands, events
from eventstore.decisions import Group, Unreadable, decisions, streams
from eventstore.turns import give_way, take_turns
from eventstore.unlocking import opener_of

SHARE = 20_000
"""Events in a share of work, about; a stream is never divided."""

Deciders = Mapping[Category, AnyDecider]


class Finding(Struct, frozen=True):
    """Where today's code departs from a stream's log, in words; `recorded` and `today` are events as JSON."""

    event: str
    reason: str
    command: str = ""
    recorded: tuple[str, ...] = ()
    today: tuple[str, ...] = ()


class Checked(Struct, frozen=True):
    """What became of a share: events that were folded, and the first finding of each stream that has one."""

    events: int
    streams: int
    findings: tuple[Finding, ...] = ()


def check_share(path: Path, names: Sequence[str], deciders: Deciders | None = None) -> Checked:
    """Decide again what these streams hold; what is sealed is opened with the key that the environment names."""
    folded, findings = 0, list[Finding]()
    opener = opener_of(path, master_key(key_file_named()))
    with closing(reading(path)) as connection:
        for name in names:
            count, finding = _check_stream(partial(decisions, connection, name, opener), name, deciders or DECIDERS)
            folded += count
            if finding is not None:
                findings.append(finding)
    if opener is not None:
        opener.close()
    return Checked(folded, len(names), tuple(findings))


def _check_stream(read: Callable[[], Iterator[Group]], name: str, deciders: Deciders) -> tuple[int, Finding | None]:
    stream, folded = StreamName.parse(name), 0
    gate = StreamGate(stream, deciders[stream.category])
    try:
        for command, recorded in read():
            divergence = gate.take(command, recorded)
            give_way()
            folded += len(recorded)
            if divergence is not None:
                return folded, _told(divergence)
    except Unreadable as unreadable:
        event, _, reason = str(unreadable).partition(": ")
        return folded, Finding(event, reason)
    return folded, None


def _told(divergence: Divergence) -> Finding:
    command, recorded = divergence.command, _as_json(divergence.recorded)
    said = "" if command is None else " ".join(_named(commands.encode(command)))
    event = f"{divergence.stream}@{divergence.version}"
    if divergence.crash is not None:
        return Finding(event, f"today's code raises {divergence.crash}", said, recorded)
    return Finding(event, "today's code decides otherwise", said, recorded, _as_json(divergence.today))


def _as_json(told: Sequence[object]) -> tuple[str, ...]:
    return tuple(" ".join(_named(events.encode(event))) for event in told)


def _named(encoded: tuple[str, bytes]) -> tuple[str, str]:
    return encoded[0], encoded[1].decode()


def shares(listed: Sequence[tuple[str, int]]) -> Iterator[list[str]]:
    """The streams in shares of about SHARE events."""
    share, size = list[str](), 0
    for name, count in listed:
        share.append(name)
        size += count
        if size >= SHARE:
            yield share
            share, size = [], 0
    if share:
        yield share


def check(
    path: Path, advanced: Callable[[Checked], None], processes: int | None = None, only: str | None = None
) -> Checked:
    """Check every stream of the log at `path`, or `only` one; `advanced` hears of each share.

    With one share, or one of `processes` (default: as many as there are cores), the work is done in this one.
    """
    listed = [(name, count) for name, count in streams(path) if only in (None, name)]
    work = list(shares(listed))
    most = min(len(work), processes or len(os.sched_getaffinity(0)))
    done = list[Checked]()
    for checked in map(partial(check_share, path), work) if most <= 1 else _in_processes(path, work, most):
        done.append(checked)
        advanced(checked)
    findings = sorted((finding for checked in done for finding in checked.findings), key=lambda found: found.event)
    return Checked(sum(each.events for each in done), sum(each.streams for each in done), tuple(findings))


def _in_processes(path: Path, work: Sequence[Sequence[str]], processes: int) -> Iterator[Checked]:
    context = multiprocessing.get_context("spawn")  # nothing of this process, threads least of all, is inherited
    with ProcessPoolExecutor(
        processes, mp_context=context, initializer=begin, initargs=(priority.NICENESS, path)
    ) as pool:
        waiting: set[Future[Checked]] = {pool.submit(check_share, path, share) for share in work}
        try:
            while waiting:
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in finished)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def begin(niceness: int, path: Path) -> None:
    """What a process that shares the work does first."""
    priority.come_last(niceness)
    if not take_turns(path):
        priority.take_all_cores()
