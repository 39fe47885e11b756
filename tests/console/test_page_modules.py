"""The page's foundation and the board's model, by themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.console.under_node import check_under_node


@pytest.mark.parametrize("script", ["page.test.mjs", "board.test.mjs", "frame.test.mjs"])
def test_the_pages_modules_keep_their_promises(script: str, tmp_path: Path) -> None:
    check_under_node(Path(__file__).with_name(script), tmp_path)
