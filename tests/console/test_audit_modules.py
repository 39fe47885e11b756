"""What is pure in the views of audit, clients and integrity and in the acts, under Node."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.adapters.server.process import ROOT

MODULES = ROOT / "adapters" / "web" / "console"
PATIENCE = 60.0


def test_the_audits_modules_keep_their_promises(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        assert not os.environ.get("CI"), "CI has a node"
        pytest.skip("there is no node on this machine")
    (tmp_path / "package.json").write_text('{"type": "module"}')  # so that any Node takes `.js` for a module
    shutil.copytree(MODULES, tmp_path / "console")
    ran = subprocess.run(
        [node, "--test", Path(__file__).with_name("audit.test.mjs")],
        env=os.environ | {"CONSOLE": str(tmp_path / "console"), "TZ": "Europe/Oslo"},
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout
    passed = re.search(r"^(?:#|ℹ) pass (\d+)", ran.stdout, re.MULTILINE)
    assert passed is not None, ran.stdout
    assert int(passed[1]) > 0


def test_every_close_code_of_the_readme_has_its_meaning_in_the_page() -> None:
    table = re.findall(r"^\| ((?:\d{4}(?:, )?)+) \|", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    promised = {code for codes in table for code in codes.split(", ")}
    known = set(re.findall(r"^  (\d{4}): \[", (MODULES / "clients" / "codes.js").read_text(), re.MULTILINE))
    assert len(promised) > 5
    assert promised <= known
