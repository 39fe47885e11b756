"""The suite's own promise: in CI nothing is skipped, on a user's machine a skip says why."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CASES = {
    "a skip in a test": "import pytest\ndef test_it(): pytest.skip('no engine here')\n",
    "a skip by mark": "import pytest\n@pytest.mark.skipif(True, reason='no engine here')\ndef test_it(): pass\n",
    "a skip in a fixture": (
        "import pytest\n@pytest.fixture\ndef engine(): pytest.skip('no engine here')\ndef test_it(engine): pass\n"
    ),
    "a skipped module": "import pytest\npytest.skip('no engine here', allow_module_level=True)\n",
}
BARE = ["-q", "-ra", "-p", "no:cacheprovider"]


def run_suite(root: Path, folder: Path, test: str, *, ci: str) -> subprocess.CompletedProcess[str]:
    """A suite of one module under the real tests/conftest.py."""
    shutil.copy(root / "tests" / "conftest.py", folder)
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_sample.py").write_text(test)
    env = {**os.environ, "CI": ci}
    command = [sys.executable, "-m", "pytest", *BARE, "."]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("case", CASES)
def test_in_ci_a_skip_is_a_failure_that_says_what_is_missing(case: str, root: Path, tmp_path: Path) -> None:
    result = run_suite(root, tmp_path, CASES[case], ci="true")
    assert result.returncode != 0
    assert "in CI nothing may be skipped: " in result.stdout
    assert "no engine here" in result.stdout
    assert " skipped" not in result.stdout.splitlines()[-1]


@pytest.mark.parametrize("case", CASES)
def test_on_a_users_machine_a_skip_is_a_skip_with_its_reason(case: str, root: Path, tmp_path: Path) -> None:
    result = run_suite(root, tmp_path, CASES[case], ci="")
    assert "1 skipped" in result.stdout
    assert "no engine here" in result.stdout


def test_a_failure_that_is_expected_is_no_skip(root: Path, tmp_path: Path) -> None:
    expected = "import pytest\n@pytest.mark.xfail(reason='known')\ndef test_it(): assert False\n"
    result = run_suite(root, tmp_path, expected, ci="true")
    assert result.returncode == 0
    assert "1 xfailed" in result.stdout


def test_the_ci_script_runs_the_same_suite_as_a_user(root: Path) -> None:
    script = (root / ".ci" / "run").read_text()
    assert "export CI=true" in script
    assert script.rstrip().endswith("make test")
    assert os.access(root / ".ci" / "run", os.X_OK)
