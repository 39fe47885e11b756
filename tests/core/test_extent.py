from __future__ import annotations

from typing import Any

import pytest

from core.extent import SCALAR, extent


@pytest.mark.parametrize(
    "value, size",
    [
        ("", 0), ("four", 4), (None, SCALAR), (True, SCALAR), (12.5, SCALAR), ([], SCALAR), ({}, SCALAR),
        (["ab", "c"], SCALAR + 3), (("ab", 1), 2 * SCALAR + 2), ({"key": "value"}, SCALAR + 8),
        ({"a": {"b": [1, "cd"]}}, 4 * SCALAR + 4),
    ],
)  # fmt: skip
def test_an_extent_counts_every_character_and_every_part(value: Any, size: int) -> None:
    assert extent(value) == size


def test_nesting_of_any_depth_is_measured() -> None:
    value: list[Any] = []
    for _ in range(50_000):
        value = [value]
    assert extent(value) == 50_001 * SCALAR
