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
from adapters import command

class Stand_in:
    def main():
        assert not {{"trio", "typer", "eventstore"}} & set(sys.modules), "imported before it came last"
        tell()

sys.modules["adapters.cli"] = Stand_in
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
LEFT = sorted(priority.cores_left(OURS))


def told(code: str, *arguments: str) -> tuple[int, list[int]]:
    """Its niceness and its cores."""
    command = [sys.executable, "-c", code, *arguments]
    printed = subprocess.run(command, capture_output=True, check=True).stdout
    return json.decode(printed, type=tuple[int, list[int]])


def test_a_process_apart_comes_last_before_it_imports_what_it_does() -> None:
    command = [sys.executable, "-m", "adapters.last", "tests.adapters.standing", "19"]
    printed = subprocess.run(command, capture_output=True, check=True).stdout
    assert json.decode(printed) == [19, LEFT, True]


def test_who_is_started_by_one_that_comes_last_leaves_no_more_cores_than_that_one() -> None:
    code = "import subprocess, sys; from adapters.priority import come_last; come_last(19); "
    code += (
        "sys.exit(subprocess.run([sys.executable, '-m', 'adapters.last', 'tests.adapters.standing', '19']).returncode)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert json.decode(printed) == [19, LEFT, True]


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
def test_a_command_that_somebody_waits_for_does_not(command: str) -> None:
    assert told(BEGUN, command) == (os.nice(0), sorted(OURS))


async def test_the_gate_leaves_cores_to_a_server_and_has_all_where_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with open_sqlite(path):
        assert told(SHARES, str(path)) == (19, LEFT)
    assert told(SHARES, str(path)) == (19, sorted(OURS))


@given(st.sets(st.integers(0, 63), min_size=1))
def test_two_cores_are_left_to_the_others_but_half_of_them_at_most(ours: set[int]) -> None:
    left = priority.cores_left(ours)
    assert left <= ours
    assert len(ours) - len(left) == min(2, len(ours) // 2)
