"""Work that comes last has the lowest niceness, and so has its session where the system goes by sessions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

LOOK = """
import os
from pathlib import Path
from adapters.priority import come_last

come_last(7)
group = Path("/proc/self/autogroup")
print(os.nice(0), os.getsid(0) == os.getpid(), group.read_text().split()[-1] if group.exists() else "")
"""


@pytest.mark.parametrize("leads", [False, True])
def test_a_process_and_its_session_let_others_go_first(leads: bool) -> None:
    command = [sys.executable, "-c", LOOK]
    told = subprocess.run(command, capture_output=True, text=True, check=True, start_new_session=leads).stdout.split()
    assert told[:2] == ["7", "True"]
    assert told[2:] == (["7"] if Path("/proc/self/autogroup").exists() else [])
