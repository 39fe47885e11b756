"""The linters hold, run as `make lint` runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def run(root: Path, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A program of this environment, in the project's folder, without colours."""
    env = {**os.environ, "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200"}
    tool = Path(sys.executable).with_name(program)
    return subprocess.run([tool, *arguments], cwd=root, env=env, capture_output=True, text=True, check=False)


def test_mypy_finds_nothing_in_its_strict_mode(root: Path) -> None:
    result = run(root, "mypy", "core", "actors", "adapters", "eventstore", "tests")
    assert result.returncode == 0, result.stdout + result.stderr


def test_ruff_finds_nothing(root: Path) -> None:
    result = run(root, "ruff", "check", "--output-format", "concise", ".")
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_import_goes_the_way_the_layers_allow(root: Path) -> None:
    result = run(root, "lint-imports")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


def test_every_rule_that_is_switched_off_says_why(root: Path) -> None:
    lines = (root / "pyproject.toml").read_text().partition("\nignore = [")[2].partition("[tool.importlinter]")[0]
    codes = [line for line in lines.splitlines() if line.startswith('    "')]
    assert codes
    assert [line for line in codes if "# " not in line] == []
