"""The project's own sources, as the architecture's tests look at them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGES = ("core", "actors", "adapters", "eventstore")


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def modules(root: Path) -> dict[str, str]:
    """The text of every module of the four packages, by its path from the root."""
    paths = (path for package in PACKAGES for path in sorted((root / package).rglob("*.py")))
    return {str(path.relative_to(root)): path.read_text() for path in paths}


@pytest.fixture(scope="session")
def trees(modules: dict[str, str]) -> dict[str, ast.Module]:
    """The same modules, parsed."""
    return {name: ast.parse(text, name) for name, text in modules.items()}


@pytest.fixture(scope="session")
def test_modules(root: Path) -> dict[str, str]:
    """The text of every module of the tests, by its path from the root."""
    return {str(path.relative_to(root)): path.read_text() for path in sorted((root / "tests").rglob("*.py"))}
