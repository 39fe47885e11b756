"""Commands run as somebody who may not do everything: permissions do not bind the superuser."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOBODY = 65534


def callboard(*arguments: str) -> tuple[int, str, str]:
    """`callboard` with these arguments, in a process without privileges: exit code, stdout, stderr."""
    drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
    command = [*drop, sys.executable, "-B", "-m", "adapters.cli", *arguments]
    env = {name: value for name, value in os.environ.items() if not name.startswith("CALLBOARD_")}
    ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=30)
    return ended.returncode, ended.stdout, ended.stderr


def open_way_to(path: Path) -> Iterator[None]:
    """Let everybody through to `path` while it lasts; skips where nobody can be made of the superuser."""
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("permissions do not bind the superuser, and there is no setpriv to be another")
        if not _may_be_imported():
            pytest.skip("who has no privileges cannot read this checkout")
    before = {folder: folder.stat().st_mode for folder in (path, *path.parents) if not folder.stat().st_mode & 0o001}
    for folder, mode in before.items():
        folder.chmod(mode | 0o011)
    yield
    for folder, mode in before.items():
        folder.chmod(mode)


@cache
def _may_be_imported() -> bool:
    return callboard("--help")[0] == 0
