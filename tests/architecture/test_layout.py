"""Where things are: the fixed top level, and names that are nobody else's in this environment."""

from __future__ import annotations

import importlib
import importlib.metadata
import re
from pathlib import Path

import pytest

PACKAGES = {"core", "actors", "adapters", "eventstore"}
# What tools leave in the folder, none of it tracked.
LEFTOVERS = {"build", "__pycache__"}


@pytest.fixture(scope="session")
def texts(root: Path) -> dict[str, str]:
    """Every text file of the project, by its path from the root."""
    folders = [root / name for name in (*PACKAGES, "tests", ".ci")]
    paths = [path for folder in folders for path in folder.rglob("*") if "__pycache__" not in path.parts]
    paths += [path for path in root.iterdir() if path.suffix in {".md", ".toml", ".txt"} or path.name == "Makefile"]
    return {str(path.relative_to(root)): path.read_text(errors="replace") for path in paths if path.is_file()}


def found(texts: dict[str, str], pattern: str) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:120]}"
        for name, text in texts.items()
        for number, line in enumerate(text.splitlines(), start=1)
        if re.search(pattern, line)
    ]


def test_the_top_level_has_the_four_packages_the_tests_and_nothing_else(root: Path) -> None:
    folders = {path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")}
    assert {name for name in folders - LEFTOVERS if not name.endswith(".egg-info")} == PACKAGES | {"tests"}


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_a_top_level_name_belongs_to_our_distribution_alone(package: str) -> None:
    owners = importlib.metadata.packages_distributions().get(package, [])
    assert set(owners) == {"callboard"}


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_a_top_level_name_is_imported_from_here(package: str, root: Path) -> None:
    assert importlib.import_module(package).__file__ == str(root / package / "__init__.py")


def test_every_folder_with_modules_is_a_package(modules: dict[str, str]) -> None:
    """Without `__init__.py` the folder would be left out of the distribution."""
    folders = {Path(name).parent for name in modules}
    assert [str(folder) for folder in sorted(folders) if f"{folder}/__init__.py" not in modules] == []


def test_the_tests_are_no_packages(test_modules: dict[str, str]) -> None:
    assert [name for name in test_modules if name.endswith("__init__.py")] == []


def test_the_distribution_refuses_to_be_published() -> None:
    classifiers = importlib.metadata.metadata("callboard").get_all("Classifier") or []
    assert "Private :: Do Not Upload" in classifiers


def test_the_program_is_the_console_script() -> None:
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="callboard")
    assert script.value == "adapters.command:main"
    assert callable(script.load())


def test_every_dependency_is_pinned_for_a_set_up_that_can_be_repeated(root: Path) -> None:
    lines = [line for line in (root / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9.+!]+", line)] == []
    pinned = {canonical(line.partition("==")[0]) for line in lines}
    needed = {
        canonical(re.split(r"[^A-Za-z0-9_.-]", name)[0]) for name in importlib.metadata.requires("callboard") or []
    }
    assert needed - pinned == {"callboard"}  # an extra that takes in another extra names the project itself


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_no_path_of_one_machine_is_written_anywhere(texts: dict[str, str]) -> None:
    assert found(texts, r"(^|[^A-Za-z0-9_.])/(" + "|".join(("work", "root", "home")) + r")/[a-z.]") == []


def test_no_package_index_is_named_anywhere(texts: dict[str, str]) -> None:
    hosts = ("py" + "pi.org", "python" + "hosted", "registry.npm" + "js", "deb.deb" + "ian")
    assert found(texts, "|".join(map(re.escape, hosts))) == []


def test_nothing_is_left_unfinished(texts: dict[str, str]) -> None:
    words = ("TO" + "DO", "FIX" + "ME", "XX" + "X")
    assert found(texts, rf"\b({'|'.join(words)})\b|raise NotImplemented" + "Error") == []
