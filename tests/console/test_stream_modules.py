"""The stream view's modules by themselves, under Node: what they know of a stream, and all in them that is pure."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.adapters.server.process import ROOT
from tests.console.under_node import check_under_node

MODULES = ROOT / "adapters" / "web" / "console" / "stream"
PATIENCE = 60.0


def test_the_stream_views_modules_keep_their_promises(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        assert not os.environ.get("CI"), "CI has a node"
        pytest.skip("there is no node on this machine")
    (tmp_path / "package.json").write_text('{"type": "module"}')  # so that any Node takes `.js` for a module
    shutil.copytree(MODULES, tmp_path / "stream")
    ran = subprocess.run(
        [node, "--test", Path(__file__).with_name("stream.test.mjs")],
        env=os.environ | {"STREAM_MODULES": str(tmp_path / "stream")},
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout
    passed = re.search(r"^(?:#|ℹ) pass (\d+)", ran.stdout, re.MULTILINE)
    assert passed is not None, ran.stdout
    assert int(passed[1]) > 0


def test_the_list_of_events_leaves_out_what_it_says(tmp_path: Path) -> None:
    check_under_node(Path(__file__).with_name("sieve.test.mjs"), tmp_path)
