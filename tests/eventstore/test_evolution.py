"""How an event gets its second version: the worked example of ARCHITECTURE.md, over the log that release 0.1.0 left.

Suppose that calls shall keep how long a socket was there in µs, a whole number as all times are, where
`call.socket_disconnected/1` has seconds and a fraction. What a release would do is done here: the new shape gets the
next name in the catalog, a step leads from the old one to it, decide gives the new one and evolve folds it.
"""

from __future__ import annotations

import gzip
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from msgspec import Struct, json

from adapters import cli, opening
from core import call as calls
from core.call import Call, ConnectSocket, DisconnectSocket, call
from core.identifiers import Category, StreamName
from core.messages import Decision, Stamp
from eventstore import codec
from eventstore.catalog import EVENTS
from eventstore.codec import Codec
from eventstore.opening import open_sqlite, open_sqlite_read_only
from eventstore.upcasters import UPCASTERS

GOLDEN = Path(__file__).parents[1] / "golden_logs" / "0.1.0.db.gz"
DEMO = StreamName("call-demo")
OLD, NEW = "call.socket_disconnected/1", "call.socket_disconnected/2"

Run = Callable[..., tuple[int, str]]


class SocketDisconnected(Struct, frozen=True, gc=False):
    """As it is from now on. `lasted` in µs."""

    connection_id: str
    reason: str
    lasted: int


def in_microseconds(old: dict[str, Any]) -> dict[str, Any]:
    """The step, from JSON to JSON. Whole again: what it was made of, in `core/call.py`, were whole µs."""
    return {"connection_id": old["connection_id"], "reason": old["reason"], "lasted": round(old["duration"] * 1e6)}


def decide(state: Call, command: Any) -> Any:
    """As before, with the new event in the place of the old one."""
    decided = call.decide(state, command)
    return tuple(map(_renewed, decided)) if isinstance(decided, tuple) else decided


def _renewed(event: Any) -> Any:
    if isinstance(event, calls.SocketDisconnected):
        return msgspec.convert(in_microseconds(msgspec.to_builtins(event)), SocketDisconnected)
    return event


def evolve(state: Call, event: Any) -> Call:
    if isinstance(event, SocketDisconnected):
        return call.evolve(state, calls.SocketDisconnected(event.connection_id, event.reason, 0.0))
    return call.evolve(state, event)


EVOLVED = replace(call, decide=decide, evolve=evolve)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The log that the release before left."""
    path = tmp_path / "log.db"
    with gzip.open(GOLDEN) as packed, path.open("wb") as log:
        shutil.copyfileobj(packed, log)
    return path


@pytest.fixture
def released(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next release: its catalog, its steps, its decider."""
    install(monkeypatch, {OLD: in_microseconds})


def install(monkeypatch: pytest.MonkeyPatch, steps: dict[str, Any]) -> None:
    names = {name: cls for name, cls in EVENTS.items() if name != OLD} | {NEW: SocketDisconnected}
    monkeypatch.setattr(codec.events, "__dict__", vars(Codec(names, {**UPCASTERS, **steps})))
    monkeypatch.setitem(opening.DECIDERS, Category.CALL, EVOLVED)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], path: Path) -> Run:
    monkeypatch.setenv("CALLBOARD_STORE", f"sqlite:///{path}")

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["callboard", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0), capsys.readouterr().out

    return run


async def read(path: Path) -> list[Any]:
    async with open_sqlite_read_only(path) as store:
        return await store.read_events(DEMO)


def stored(path: Path) -> list[tuple[str, str]]:
    """Name and payload of every end of a socket, as they lie in the file."""
    query = "SELECT topic, state FROM stored_events WHERE topic LIKE 'call.socket_disconnected/%' ORDER BY rowid"
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.execute(query))


async def go_on(path: Path) -> None:
    """Another call is there for two and a half seconds, decided by the new release."""
    stream, state, decisions = StreamName("call-later"), EVOLVED.initial, list[Decision]()
    for command in (ConnectSocket("b.1", 1_000_000), DisconnectSocket("b.1", 3_500_000)):
        decided = EVOLVED.decide(state, command)
        assert isinstance(decided, tuple)
        decisions.append(Decision(Stamp("c", command.now), command, decided))
        state = EVOLVED.fold(state, decided)
    async with open_sqlite(path) as store:
        await store.append(stream, decisions, expected_version=0)


def test_an_old_log_folds_to_the_same_states(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = call.fold(call.initial, trio.run(read, path))
    install(monkeypatch, {OLD: in_microseconds})
    events = trio.run(read, path)
    assert SocketDisconnected("693f05985cda.9", "disconnected", 631_894) in events
    assert not any(isinstance(event, calls.SocketDisconnected) for event in events)
    assert EVOLVED.fold(EVOLVED.initial, events) == before


@pytest.mark.usefixtures("released")
def test_an_old_log_passes_the_gate(run: Run) -> None:
    code, out = run("check", "--processes", "1")
    assert (code, out.split(":")[0]) == (0, "Today's code decides what the log has")


@pytest.mark.usefixtures("released")
def test_an_old_log_is_replayed_as_the_newest_version(run: Run) -> None:
    code, out = run("replay", DEMO)
    assert code == 0
    assert '"lasted":631894' in out
    code, out = run("replay", DEMO, "--at", "29")
    assert (code, json.decode(out)["state"]["socket"]) == (0, None)


@pytest.mark.usefixtures("released")
def test_an_old_log_is_exported_and_proved_as_it_is_stored(run: Run, path: Path, tmp_path: Path) -> None:
    trio.run(go_on, path)
    file = tmp_path / "all.jsonl"
    assert run("audit", "export", str(file), "--category", "call")[0] == 0
    lines = [json.decode(line) for line in file.read_bytes().splitlines()]
    ends = {line["event"]: line["payload"] for line in lines if "socket_disconnected" in line["event"]}
    assert ends == {
        OLD: '{"connection_id":"693f05985cda.9","reason":"disconnected","duration":0.631894}',
        NEW: '{"connection_id":"b.1","reason":"disconnected","lasted":2500000}',
    }
    assert run("verify")[0] == 0


@pytest.mark.usefixtures("released")
def test_new_events_are_written_in_the_new_version_and_old_ones_stay(run: Run, path: Path) -> None:
    old = stored(path)
    trio.run(go_on, path)
    assert stored(path) == [*old, (NEW, '{"connection_id":"b.1","reason":"disconnected","lasted":2500000}')]
    assert [name for name, _ in old] == [OLD]
    assert run("check", "--processes", "1")[0] == 0


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ({}, "the log holds a 'call.socket_disconnected/1'"),
        ({OLD: lambda old: old}, "a stored call.socket_disconnected/1 cannot be read"),
        ({OLD: lambda old: {**in_microseconds(old), "lasted": 0}}, "today's code decides otherwise"),
    ],
)
def test_a_step_that_is_missing_or_wrong_does_not_pass_the_gate(
    run: Run, monkeypatch: pytest.MonkeyPatch, steps: dict[str, Any], told: str
) -> None:
    install(monkeypatch, steps)
    code, out = run("check", "--processes", "1")
    assert code == 1
    assert f"{DEMO}@29" in out
    assert told in out
