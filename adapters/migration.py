"""The seed's migration utility: a legacy conversation is moved to the WebSocket API by the server that holds it."""

from __future__ import annotations

import ssl
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

import msgspec

PATIENCE = 10.0
"""Seconds the server may take."""


class NotMigrated(Exception):
    """It was not moved; the message says why, and what to do."""


def migrate_at(server: str, session_id: str, token: str | None = None) -> str:
    """The conversation_id, at the server with this URL; `token` is for one with auth. Raises NotMigrated."""
    status, told = _asked(server, session_id, token)
    if status in {401, 403}:
        remedy = "write another --token" if token else "write --token TOKEN, or set CALLBOARD_TOKEN"
        raise NotMigrated(f"{server} does not let us in ({_detail(told)}); {remedy}")
    if status != 200 or not isinstance(told, dict):
        raise NotMigrated(f"{session_id} was not moved: {_detail(told)}")
    return str(told.get("conversation_id"))


def _asked(server: str, session_id: str, token: str | None) -> tuple[int, Any]:
    """Status and JSON of the server's answer."""
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise NotMigrated("--token: that is no token; write what the server's /token answered as access_token")
    connection = _connection(server)
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    try:
        body = msgspec.json.encode({"session_id": session_id})
        connection.request("POST", "/api/v2/conversations/migrate", body, headers)
        answer = connection.getresponse()
        return answer.status, msgspec.json.decode(answer.read())
    except ssl.SSLCertVerificationError as fault:
        remedy = "name the host it is for, or set SSL_CERT_FILE to the PEM file of who issued it"
        raise NotMigrated(
            f"the certificate of {server} is not to be trusted: {fault.verify_message}; {remedy}"
        ) from None
    except ssl.SSLError:
        raise NotMigrated(f"{server} does not speak TLS with us; write --server http://… if it serves none") from None
    except (OSError, HTTPException, ValueError) as fault:
        raise NotMigrated(f"no Callboard answers at {server} ({fault}); start it, or name it with --server") from None
    finally:
        connection.close()


def _connection(server: str) -> HTTPConnection:
    try:
        address = urlsplit(server)
        if address.hostname and address.scheme in {"http", "https"}:
            connect = HTTPSConnection if address.scheme == "https" else HTTPConnection
            return connect(address.hostname, address.port, timeout=PATIENCE)
    except (ValueError, HTTPException):  # a port that is no number, a host with a space in it
        pass
    raise NotMigrated(f"{server!r} is no server; write --server http://HOST:PORT")


def _detail(told: Any) -> Any:
    return told.get("detail", "it says nothing more") if isinstance(told, dict) else "it answers as no Callboard does"
