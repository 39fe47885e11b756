"""How single settings are written: parsers from text to typed values. Each raises Unusable, saying what to write."""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self, TypeVar
from urllib.parse import SplitResult, urlsplit

TAKEN_SEGMENTS = frozenset(
    {"api", "console", "health", "metrics", "ready", "static", "test-token", "token", "webhook", "ws"}
    | {"asyncapi.json", "docs", "openapi.json", "redoc"}
    | {"labels", "qr"}
    | {"favicon.ico", "robots.txt"}
)
"""First segments of this server's own paths; OBFUSCATED_WS_PATH may not begin with one of them."""
MIN_SECRET_BYTES = 32
"""Bytes of key below which HS256 is weaker than its hash (RFC 7518, 3.2)."""

_UNITS = {"": 1, "b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_SIZE = re.compile(r"([0-9]{1,15}) *([A-Za-z]*)")
_HOST = re.compile(r"[A-Za-z0-9._-]+")
_SEGMENT = re.compile(r"[A-Za-z0-9._~-]+")
_YES, _NO = frozenset({"1", "yes", "true", "on"}), frozenset({"0", "no", "false", "off"})

Choice = TypeVar("Choice", bound=StrEnum)


class Unusable(ValueError):
    """A text that is no value of its setting. The message says what is wrong and what to write, in one line."""

    @classmethod
    def text(cls, text: str, wanted: str) -> Self:
        """`text` shown (shortened, on one line), then what was wanted."""
        return cls(f"{text[:60]!r} is not {wanted}")


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that must not be printed; it is only ever shown by asking for it."""

    _text: str

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class Bind:
    """An address to listen on. Port 0 lets the system choose one."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Reachable from this machine alone. Of names only `localhost` is known to be."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """Where the log lives: an SQLite file, or in memory (`path` None), where it ends with the process."""

    path: Path | None

    def __str__(self) -> str:
        return "memory:" if self.path is None else f"sqlite:///{self.path}"


def parse_bind(text: str) -> Bind:
    host, colon, port = text.strip().rpartition(":")
    if not colon:
        raise Unusable.text(text, "an address; write HOST:PORT, for instance 127.0.0.1:8000 or [::1]:8000")
    return Bind(parse_host(host), parse_port(port))


def parse_binds(text: str) -> tuple[Bind, ...]:
    binds = tuple(parse_bind(part) for part in text.split(","))
    twice = [bind for bind in binds if bind.port and binds.count(bind) > 1]
    if twice:
        raise Unusable(f"{twice[0]} is there twice; write each address once")
    return binds


def parse_host(text: str) -> str:
    """A name or an address, an IPv6 one with or without its brackets; the value is without."""
    stripped = text.strip()
    bare = stripped[1:-1] if stripped.startswith("[") and stripped.endswith("]") else stripped
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        if _HOST.fullmatch(stripped):
            return stripped
        raise Unusable.text(text, "a host; write a name or an address, for instance 127.0.0.1 or [::1]") from None


def parse_port(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,5}", text.strip()) and (port := int(text)) < 2**16:
        return port
    raise Unusable.text(text, "a port; write a number from 0 to 65535")


def parse_store(text: str) -> StoreAddress:
    """The text is never shown: an address of a database may hold its password."""
    scheme, colon, rest = text.strip().partition(":")
    if colon and scheme == "memory" and not rest:
        return StoreAddress(None)
    if scheme in {"postgres", "postgresql"}:
        raise Unusable("PostgreSQL is not built yet; write sqlite:///callboard.db or memory:")
    if scheme == "sqlite" and len(rest) > 3 and rest.startswith("///") and not rest.endswith("/") and "\0" not in rest:
        return StoreAddress(Path(rest[3:]))
    raise Unusable("not a store; write sqlite:///callboard.db, sqlite:////an/absolute/path.db or memory:")


def parse_path(text: str) -> Path:
    if "\0" in text:
        raise Unusable.text(text, "a file's path")
    return Path(text).expanduser() if text.startswith("~/") else Path(text)


def parse_seconds(text: str) -> float:
    """A duration above 0, in seconds."""
    return _parse_number(text, "a duration; write seconds above 0, for instance 2.5", lambda seconds: seconds > 0)


def parse_pause(text: str) -> float:
    """A duration that may be 0, in seconds."""
    return _parse_number(text, "a duration; write seconds, 0 or more, for instance 0.05", lambda seconds: seconds >= 0)


def parse_days(text: str) -> float:
    """So many days; 0 for never."""
    return _parse_number(text, "a number of days; write 30, 0.5, or 0 for never", lambda days: days >= 0)


def parse_rate(text: str) -> float:
    """So many a second, above 0."""
    return _parse_number(text, "a rate; write a number above 0", lambda rate: rate > 0)


def _parse_number(text: str, wanted: str, is_usable: Callable[[float], bool]) -> float:
    try:
        number = float(text)
    except ValueError:
        raise Unusable.text(text, wanted) from None
    if not math.isfinite(number) or not is_usable(number):
        raise Unusable.text(text, wanted)
    return number


def parse_size(text: str) -> int:
    """Bytes, above 0."""
    match = _SIZE.fullmatch(text.strip())
    factor = _UNITS.get(match[2].lower()) if match else None
    if match is None or factor is None or not int(match[1]):
        raise Unusable.text(text, "a size; write bytes above 0, or with KiB, MiB or GiB, for instance 16 MiB")
    return int(match[1]) * factor


def parse_limit(text: str) -> int:
    """A count where 0 stands for no limit."""
    if not re.fullmatch(r"[0-9]{1,15}", text.strip()):
        raise Unusable.text(text, "a whole number; write 0 for no limit, or more")
    return int(text)


def parse_count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,15}", text.strip()) or not int(text):
        raise Unusable.text(text, "a whole number; write 1 or more")
    return int(text)


def parse_switch(text: str) -> bool:
    word = text.strip().lower()
    if word not in _YES | _NO:
        raise Unusable.text(text, "a yes or no; write yes or no (or on, off, true, false, 1, 0)")
    return word in _YES


def choice_of(choices: type[Choice]) -> Callable[[str], Choice]:
    """The parser for one of the words of an enumeration."""

    def parse(text: str) -> Choice:
        for choice in choices:
            if choice.value == text.strip().lower():
                return choice
        raise Unusable.text(text, f"known; write {' or '.join(choices)}")

    return parse


def parse_text(text: str) -> str:
    if not text.isprintable():
        raise Unusable("there are control characters in it; write it without")
    return text.strip()


def parse_secret(text: str) -> Secret:
    """A key in a header's or URL's characters; what is wrong with it is said without showing it."""
    if not text.isascii() or not text.isprintable():
        raise Unusable("there are characters in it that no key has; write it in printable ASCII")
    return Secret(text.strip())


def parse_signing_secret(text: str) -> Secret:
    """A key long enough for HS256."""
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        raise Unusable("not UTF-8; write the output of `openssl rand -hex 32`, for instance") from None
    if length < MIN_SECRET_BYTES:
        wanted = f"write at least {MIN_SECRET_BYTES}, for instance the output of `openssl rand -hex 32`"
        raise Unusable(f"{length} bytes are too few for HS256; {wanted}")
    return Secret(text)


def parse_web_url(text: str) -> str:
    return _parse_url(text, ("http", "https"))


def parse_socket_url(text: str) -> str:
    return _parse_url(text, ("ws", "wss"))


def _parse_url(text: str, schemes: tuple[str, ...]) -> str:
    """The text is never shown: an address may hold a password or a key."""
    split = _split_url(text.strip())
    if split is None or split.scheme not in schemes or not split.hostname:
        raise Unusable(f"not an address; write {' or '.join(f'{scheme}://host' for scheme in schemes)} and the path")
    return text.strip()


def _split_url(text: str) -> SplitResult | None:
    """The parts of a URL whose port, too, can be read; None for what is none."""
    if not text.isprintable() or " " in text:
        return None
    try:
        split = urlsplit(text)
        return split if split.port != 0 else None
    except ValueError:
        return None


def parse_origins(text: str) -> tuple[str, ...]:
    """Origins as a browser sends them; the word `none` for an empty list."""
    if text.strip().lower() == "none":
        return ()
    return tuple(_parse_origin(part.strip()) for part in text.split(","))


def _parse_origin(text: str) -> str:
    split = _split_url(text)
    if split is None or split.scheme not in {"http", "https"} or text != f"{split.scheme}://{split.netloc}":
        raise Unusable.text(text, "an origin; write scheme://host[:port] without a path, or the word none")
    if not split.hostname or "@" in split.netloc:
        raise Unusable.text(text, "an origin; write scheme://host[:port], for instance https://app.example.com")
    return text


def parse_obfuscated_path(text: str) -> str:
    """One path segment or several, without the slashes around them."""
    path = text.strip().strip("/")
    segments = path.split("/")
    if not all(_SEGMENT.fullmatch(segment) and segment not in {".", ".."} for segment in segments):
        raise Unusable.text(text, "a path; write letters, digits and - . _ ~ only, for instance ws-4f1c9e")
    if segments[0].lower() in TAKEN_SEGMENTS:
        raise Unusable(f"/{segments[0]} is one of this server's own paths; write another first segment")
    return path
