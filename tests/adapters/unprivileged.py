"""Commands run as somebody who may not do everything: permissions do not bind the superuser."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
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


def open_way_to(path: Path) -> None:
    """Let everybody through to `path`, for good, as tests beside this one may need the same way; skips where nobody can
    be made of the superuser."""
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("permissions do not bind the superuser, and there is no setpriv to be another")
        if not _may_be_imported():
            pytest.skip("who has no privileges cannot read this checkout")
    for folder in (path, *path.parents):
        mode = folder.stat().st_mode
        if not mode & 0o001:
            folder.chmod(mode | 0o011)


@cache
def _may_be_imported() -> bool:
    return callboard("--help")[0] == 0
