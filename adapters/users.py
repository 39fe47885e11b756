"""The users file (CALLBOARD_USERS): who may ask for a token, one user a line.

    ada:operator,auditor:$argon2id$v=19$m=65536,t=3,p=4$…

Name, roles, argon2 hash of the password. Empty lines and those that begin with `#` are for people and are kept. The
file is read at every log-in, so that a change by hand or by `callboard user add` holds from the next one on.
"""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import argon2
import structlog
import trio
from argon2.exceptions import VerificationError, VerifyMismatchError

from adapters.roles import Role, roles_named
from adapters.setting_values import Unusable

MOST_AT_ONCE = 2
"""Passwords looked at at one time: each takes 64 MiB and, on four cores, some 50 ms."""
MOST_PASSWORD_CHARACTERS = 1024

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}")
_HASH = re.compile(r"\$argon2(id|i|d)\$v=[0-9]+\$m=[0-9]+,t=[0-9]+,p=[0-9]+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+")
_DECOY = "$argon2id$v=19$m=65536,t=3,p=4$" + "A" * 22 + "$" + "A" * 43
"""A hash of no password, as costly as argon2-cffi makes them."""

log = structlog.get_logger("callboard.users")


class BadUsers(Unusable):
    """A users file, a name or a password that cannot be used; the message says in one line why and what to do."""


@dataclass(frozen=True, slots=True)
class User:
    """One line of the file."""

    name: str
    roles: frozenset[Role]
    hash: str

    def __repr__(self) -> str:
        return f"User({self.name!r})"  # a hash in a traceback could be guessed at

    @property
    def line(self) -> str:
        return f"{self.name}:{','.join(role for role in Role if role in self.roles)}:{self.hash}"


class Users:
    """The users of one file."""

    def __init__(self, path: Path, hasher: argon2.PasswordHasher | None = None) -> None:
        self.path = path
        self._hasher = hasher or argon2.PasswordHasher()
        self._limiter = trio.CapacityLimiter(MOST_AT_ONCE)

    def read(self) -> Mapping[str, User]:
        """All users by name. Raises BadUsers, also when there is no such file."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            command = f"callboard user add NAME --users {shlex.quote(str(self.path))}"
            raise BadUsers(f"{self.path} is not there; make it with `{command}`") from None
        except IsADirectoryError:
            raise BadUsers(f"{self.path} is a folder; name a file in it") from None
        except UnicodeDecodeError:
            raise BadUsers(f"{self.path} cannot be read: it is not UTF-8; write it in UTF-8") from None
        except OSError as error:
            wanted = "give it to the user who runs Callboard (chown, chmod), or name another file"
            raise BadUsers(f"{self.path} cannot be read: {error.strerror or error}; {wanted}") from None
        return _parsed(text, self.path)

    async def verify(self, name: str, password: str) -> frozenset[Role] | None:
        """The roles of the user whose password this is, None when it is not. Raises BadUsers.

        Slow by design, in a thread, two at a time. It takes as long for a name nobody has.
        """
        return await trio.to_thread.run_sync(self._verified, name, password, limiter=self._limiter)

    def _verified(self, name: str, password: str) -> frozenset[Role] | None:
        users = self.read()
        user = users.get(name)
        # A neighbour's hash is the best measure of how long looking at a password takes here.
        hash = user.hash if user else next((other.hash for other in users.values()), _DECOY)
        is_right = _is_password(self._hasher, hash, password)
        return user.roles if user is not None and is_right else None

    def add(self, name: str, password: str, roles: Iterable[Role] = (), *, replace: bool = False) -> User:
        """Write a user into the file, which is made where there is none. Raises BadUsers, OSError.

        The other lines stay as they are. Whoever reads the file meanwhile sees it before or after, never half of it.
        """
        self.check_addition(name, replace=replace)
        check_password(password)
        user = User(name, roles_named([*roles]), self._hasher.hash(_normal(password)))
        path = self.path.resolve()
        with _only_writer(path.parent):
            self.check_addition(name, replace=replace)
            lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
            _rewrite(path, _with(lines, user))
        return user

    def check_addition(self, name: str, *, replace: bool) -> None:
        """Raises BadUsers where `add` would for this name, without asking for a password in vain."""
        check_name(name)
        if self.path.exists() and name in self.read() and not replace:
            raise BadUsers(f"{name} is in {self.path} already; write --replace for a new password and new roles")


def check_name(name: str) -> None:
    """Raises BadUsers for a name no user may have."""
    if not _NAME.fullmatch(name):
        wanted = "write up to 64 letters, digits and . _ @ + -, a letter or digit first"
        raise BadUsers(f"{name[:60]!r} is no user's name; {wanted}")
    if name == "anonymous":
        raise BadUsers("anonymous is what those without a name are called; write another name")


def check_password(password: str) -> None:
    """Raises BadUsers for what cannot be anybody's password; it is not shown."""
    if not password:
        raise BadUsers("the password is empty; write one")
    if len(password) > MOST_PASSWORD_CHARACTERS or not password.isprintable():
        raise BadUsers(f"not a password; write one line of at most {MOST_PASSWORD_CHARACTERS} printable characters")


def may_be_name(name: str) -> bool:
    """Whether a user of this name could be."""
    return _NAME.fullmatch(name) is not None


def _parsed(text: str, path: Path) -> Mapping[str, User]:
    users: dict[str, User] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.startswith("#"):
            user = _user(line.strip(), f"{path}, line {number}")
            if user.name in users:
                raise BadUsers(f"{path}, line {number}: {user.name} is there twice; remove one of the lines")
            users[user.name] = user
    return users


def _user(line: str, place: str) -> User:
    """The line's user. Raises BadUsers, which does not show the hash."""
    name, *rest = line.split(":")
    if len(rest) != 2:
        raise BadUsers(f"{place}: not a user; write NAME:ROLES:HASH, or use `callboard user add`")
    roles, hash = (part.strip() for part in rest)
    named = [role.strip() for role in roles.split(",") if role.strip()]
    if unknown := [role for role in named if role not in list(Role)]:
        raise BadUsers(f"{place}: {unknown[0][:60]!r} is no role; write {', '.join(Role)}")
    if not may_be_name(name.strip()):
        raise BadUsers(f"{place}: {name[:60]!r} is no user's name; write letters, digits and . _ @ + -")
    if not _HASH.fullmatch(hash):
        raise BadUsers(f"{place}: that is no argon2 hash; write it with `callboard user add {name} --replace`")
    return User(name.strip(), roles_named(named), hash)


def _is_password(hasher: argon2.PasswordHasher, hash: str, password: str) -> bool:
    try:
        return hasher.verify(hash, _normal(password))
    except VerifyMismatchError:
        return False
    except VerificationError as error:
        reason = str(error)
        log.error("a hash in the users file cannot be used; set its password anew", reason=reason)  # noqa: TRY400  # no trace of ours
        return False


def _normal(password: str) -> bytes:
    """One spelling for what keyboards compose differently (RFC 8265, 4.2.2)."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _with(lines: list[str], user: User) -> str:
    """The file's text with the user's line in its old place, or at the end."""
    kept = [user.line if line.partition(":")[0].strip() == user.name else line for line in lines]
    return "\n".join(kept if user.line in kept else [*kept, user.line]) + "\n"


@contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    """One writer at a time; the lock is the folder's own, so that no file is left behind."""
    try:
        locked = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        raise BadUsers(f"there is no folder {folder} for the users file; make it first") from None
    try:
        fcntl.flock(locked, fcntl.LOCK_EX)
        yield
    finally:
        os.close(locked)


def _rewrite(path: Path, text: str) -> None:
    """Put a new file, 0600, into the place of the old one; it stays the old one's owner's."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600 from the start
    new = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            if path.exists():
                os.fchown(file.fileno(), path.stat().st_uid, path.stat().st_gid)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
