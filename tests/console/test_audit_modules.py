"""What is pure in the views of audit, clients and integrity and in the acts."""

from __future__ import annotations

import re
from pathlib import Path

from tests.adapters.server.process import ROOT
from tests.console.under_node import CONSOLE, check_under_node


def test_the_audits_modules_keep_their_promises(tmp_path: Path) -> None:
    check_under_node(Path(__file__).with_name("audit.test.mjs"), tmp_path)


def test_every_close_code_of_the_readme_has_its_meaning_in_the_page() -> None:
    table = re.findall(r"^\| ((?:\d{4}(?:, )?)+) \|", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    promised = {code for codes in table for code in codes.split(", ")}
    known = set(re.findall(r"^  (\d{4}): \[", (CONSOLE / "clients" / "codes.js").read_text(), re.MULTILINE))
    assert len(promised) > 5
    assert promised <= known
