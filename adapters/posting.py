"""What the command line has a running server do: one POST over HTTP, and why there may be no answer."""

from __future__ import annotations

import ssl
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

import msgspec

PATIENCE = 10.0
"""Seconds the server may take."""


class Unanswered(Exception):
    """The server did not do it, or does not answer; the message says why, and what to do."""


class Refusal(Unanswered):
    """The server says no, in its own words."""


def post(server: str, path: str, body: Any, token: str | None = None, *, patience: float = PATIENCE) -> Any:
    """The JSON of the server's answer, which is 200; `token` is for one with auth. Raises Unanswered."""
    status, told = _asked(server, path, body, token, patience)
    if status in {401, 403}:
        remedy = "write another --token" if token else "write --token TOKEN, or set CALLBOARD_TOKEN"
        raise Unanswered(f"{server} does not let us in ({_detail(told)}); {remedy}")
    if status != 200 or not isinstance(told, dict):
        raise Refusal(str(_detail(told)))
    return told


def _asked(server: str, path: str, body: Any, token: str | None, patience: float) -> tuple[int, Any]:
    """Status and JSON of the server's answer."""
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise Unanswered("--token: that is no token; write what the server's /token answered as access_token")
    connection = _connection(server, patience)
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    try:
        connection.request("POST", path, msgspec.json.encode(body), headers)
        answer = connection.getresponse()
        return answer.status, msgspec.json.decode(answer.read())
    except ssl.SSLCertVerificationError as fault:
        remedy = "name the host it is for, or set SSL_CERT_FILE to the PEM file of who issued it"
        raise Unanswered(
            f"the certificate of {server} is not to be trusted: {fault.verify_message}; {remedy}"
        ) from None
    except ssl.SSLError:
        raise Unanswered(f"{server} does not speak TLS with us; write --server http://… if it serves none") from None
    except (OSError, HTTPException, ValueError) as fault:
        raise Unanswered(f"no Callboard answers at {server} ({fault}); start it, or name it with --server") from None
    finally:
        connection.close()


def _connection(server: str, patience: float) -> HTTPConnection:
    try:
        address = urlsplit(server)
        if address.hostname and address.scheme in {"http", "https"}:
            connect = HTTPSConnection if address.scheme == "https" else HTTPConnection
            return connect(address.hostname, address.port, timeout=patience)
    except (ValueError, HTTPException):  # a port that is no number, a host with a space in it
        pass
    raise Unanswered(f"{server!r} is no server; write --server http://HOST:PORT")


def _detail(told: Any) -> Any:
    return told.get("detail", "it says nothing more") if isinstance(told, dict) else "it answers as no Callboard does"
