"""What the documents claim of the code, as far as a program can tell."""

from __future__ import annotations

import re
from pathlib import Path


def test_every_test_that_holds_an_invariant_exists(root: Path) -> None:
    named = set(re.findall(r"`(test_\w+)`", (root / "ARCHITECTURE.md").read_text()))
    written = {
        name
        for file in (root / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)\(", file.read_text())
    }
    assert named - written == set()
    assert len(named) > 15


def test_every_file_the_architecture_names_exists(root: Path) -> None:
    named = re.findall(r"`((?:core|actors|adapters|eventstore|tests)/[\w/.]+)`", (root / "ARCHITECTURE.md").read_text())
    assert [path for path in named if not (root / path).exists()] == []
    assert named
