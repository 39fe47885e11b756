"""Modules of the page by themselves, under Node: what in them needs no page."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.adapters.server.process import ROOT

CONSOLE = ROOT / "adapters" / "web" / "console"
PATIENCE = 60.0


def check_under_node(script: Path, folder: Path) -> None:
    """Run the tests of `script`, which finds a copy of the page's modules (in `folder`) where CONSOLE_MODULES says.
    Skips where there is no Node; raises AssertionError with what Node told."""
    node = shutil.which("node")
    if node is None:
        assert not os.environ.get("CI"), "CI has a node"
        pytest.skip("there is no node on this machine")
    modules = folder / "console"
    shutil.copytree(CONSOLE, modules)
    (modules / "package.json").write_text('{"type": "module"}')  # so that any Node takes `.js` for a module
    ran = subprocess.run(
        [node, "--test", "--test-reporter=tap", script],
        env=os.environ | {"CONSOLE_MODULES": str(modules)},
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    passed = re.search(r"^# pass (\d+)", ran.stdout, re.MULTILINE)
    assert passed is not None, ran.stdout
    assert int(passed[1]) > 0
