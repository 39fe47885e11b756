"""Which pages may talk to us: browsers let any page try, and leave the check to the server (RFC 6455, 10.2).

That holds for WebSockets, and for requests that do something: a page may send those too, and only not read the answer.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}

Site = tuple[str, int]
"""Host and port."""


def may_come_from(origin: str | None, host: str | None, allowed: frozenset[str], *, trust_host: bool = False) -> bool:
    """Whether the page that sends this Origin header, to this Host, may open a WebSocket, or have something done.

    No origin is no browser. The origins in `allowed` may, and so may pages of this server itself, which is where
    origin and host are the same. But a host's name proves nothing where nobody is asked for a token: a page of
    http://evil.example may let that name point to 127.0.0.1 and so share its "origin" with us (DNS rebinding). So
    without `trust_host` the host has to be an address or a name that always means this machine. The origin `null` (a
    file, a sandboxed frame) may be anybody.
    """
    if not origin:
        return True
    if origin == "null":
        return False
    return origin in allowed or _is_same(origin, host, trust_host=trust_host)


def is_ours(host: str | None, allowed: frozenset[str], *, trust_host: bool = False) -> bool:
    """Whether a request that names this Host may be meant for us: else a name was pointed here (DNS rebinding).

    Without `trust_host` it is an address, a name that always means this machine, or the host of an allowed origin.
    """
    if trust_host or not host:
        return True
    if any(origin.partition("://")[2] == host for origin in allowed):
        return True
    site = _site(host, 0)
    return site is not None and _is_certain(site[0])


def _is_same(origin: str, host: str | None, *, trust_host: bool) -> bool:
    scheme, _, authority = origin.partition("://")
    if scheme not in _PORTS or not host:
        return False
    site = _site(authority, _PORTS[scheme])
    # Which scheme the page was loaded by is not ours to know: TLS may end at a proxy before us.
    return site is not None and site == _site(host, _PORTS[scheme]) and (trust_host or _is_certain(site[0]))


def _site(authority: str, default_port: int) -> Site | None:
    """The host, in lower case, and port of `host[:port]`; None for what is something else."""
    try:
        split = urlsplit(f"//{authority}")
        port = split.port
    except ValueError:
        return None
    if split.netloc != authority or not split.hostname or "@" in authority:
        return None
    return split.hostname, default_port if port is None else port


def _is_certain(host: str) -> bool:
    """No resolver has a say in what it means: an address, or `localhost` (RFC 6761, 6.3)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(host)
        return True
    except ValueError:
        return False
