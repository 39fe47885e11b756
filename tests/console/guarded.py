"""A server that asks who comes, and those it knows."""

from __future__ import annotations

import time
from pathlib import Path

import argon2
import jwt

from adapters.web.auth import ALGORITHM
from tests.console.rig import Window

SECRET = "a secret for tests that is long enough for HS256"
PASSWORD = "a password of more than eight"
ROLES = {"olga": "operator", "aude": "auditor", "carl": "client"}


def guarded(folder: Path) -> dict[str, str]:
    """Settings for such a server."""
    users, cheap = folder / "users", argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    users.write_text("".join(f"{name}:{role}:{cheap.hash(PASSWORD)}\n" for name, role in ROLES.items()))
    return {"CALLBOARD_AUTH": "jwt", "CALLBOARD_JWT_SECRET": SECRET, "CALLBOARD_USERS": str(users)}


def token_of(name: str, seconds: float = 3600) -> str:
    """One that is good for so long."""
    claims = {"sub": name, "roles": [ROLES[name]], "exp": time.time() + seconds}
    return jwt.encode(claims, SECRET, ALGORITHM)


def come_as(window: Window, name: str) -> None:
    """The window has a token already, as one that stayed open has."""
    kept = f"sessionStorage.setItem('callboard.token', '{token_of(name)}')"
    window.context.add_init_script(f"if (origin !== 'null') {kept}")  # a blank page has nowhere to keep it
