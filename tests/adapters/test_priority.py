"""Work that comes last has the lowest niceness, and so has its session where the system goes by sessions; and it leaves
some of the cores to the others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json

from adapters import priority
from eventstore.opening import open_sqlite

LOOK = """
import os
from pathlib import Path
from adapters.priority import come_last

come_last(7)
group = Path("/proc/self/autogroup")
print(os.nice(0), os.getsid(0) == os.getpid(), group.read_text().split()[-1] if group.exists() else "")
"""
TOLD = """
import os, sys
from pathlib import Path
from msgspec import json

def tell():
    print(json.encode([os.nice(0), sorted(os.sched_getaffinity(0))]).decode())
"""
BEGUN = f"""{TOLD}
from adapters import cli, command

cli.main = tell
command.main()
"""
"""A command where its own code begins."""
SHARES = f"""{TOLD}
from adapters import checking, priority

checking.begin(priority.NICENESS, Path(sys.argv[1]))
tell()
"""
"""One of the gate's processes."""

OURS = os.sched_getaffinity(0)
LEFT = sorted(priority.cores_left(OURS, os.cpu_count() or 1))


def told(code: str, *arguments: str) -> tuple[int, list[int]]:
    """Its niceness and its cores."""
    command = [sys.executable, "-c", code, *arguments]
    printed = subprocess.run(command, capture_output=True, check=True).stdout
    return json.decode(printed, type=tuple[int, list[int]])


@pytest.mark.parametrize("leads", [False, True])
def test_a_process_and_its_session_let_others_go_first(leads: bool) -> None:
    command = [sys.executable, "-c", LOOK]
    told = subprocess.run(command, capture_output=True, text=True, check=True, start_new_session=leads).stdout.split()
    assert told[:2] == ["7", "True"]
    assert told[2:] == (["7"] if Path("/proc/self/autogroup").exists() else [])


@pytest.mark.parametrize("command", ["check", "audit", "replay", "--help"])
def test_a_command_that_looks_back_comes_last_from_its_first_line_on(command: str) -> None:
    assert told(BEGUN, command) == (19, LEFT)


@pytest.mark.parametrize("command", ["serve", "demo", "ask"])
def test_a_command_with_which_somebody_lives_does_not(command: str) -> None:
    assert told(BEGUN, command) == (0, sorted(OURS))


async def test_the_gate_leaves_cores_to_a_server_and_has_all_where_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with open_sqlite(path):
        assert told(SHARES, str(path)) == (19, LEFT)
    assert told(SHARES, str(path)) == (19, sorted(OURS))


@given(st.sets(st.integers(0, 63), min_size=1), st.integers(1, 64))
def test_some_cores_are_left_wherever_there_are_several(ours: set[int], count: int) -> None:
    left = priority.cores_left(ours, count)
    assert left
    assert left <= ours
    assert priority.cores_left(left, count) == left, "asked again, no fewer"


@pytest.mark.parametrize(("count", "kept"), [(1, 1), (2, 1), (3, 2), (4, 2), (8, 6)])
def test_of_a_whole_machine_two_cores_are_left_at_most_and_half_of_it(count: int, kept: int) -> None:
    assert priority.cores_left(set(range(count)), count) == set(range(kept))
