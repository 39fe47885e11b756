"""The seed's migration utility: a legacy conversation is moved to the WebSocket API by the server that holds it."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

import msgspec

PATIENCE = 10.0
"""Seconds the server may take."""


class NotMigrated(Exception):
    """It was not moved; the message says why, and what to do."""


def migrate_at(server: str, session_id: str) -> str:
    """The conversation_id, at the server with this URL. Raises NotMigrated."""
    address = urlsplit(server)
    if address.scheme not in {"http", "https"} or not address.hostname:
        raise NotMigrated(f"{server!r} is no server; write --server http://HOST:PORT")
    connect = HTTPSConnection if address.scheme == "https" else HTTPConnection
    connection = connect(address.hostname, address.port, timeout=PATIENCE)
    try:
        body = msgspec.json.encode({"session_id": session_id})
        connection.request("POST", "/api/v2/conversations/migrate", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        told = msgspec.json.decode(answer.read())
    except (OSError, HTTPException, ValueError) as fault:
        raise NotMigrated(f"no Callboard answers at {server} ({fault}); start it, or name it with --server") from None
    finally:
        connection.close()
    if answer.status != 200:
        raise NotMigrated(f"{session_id} was not moved: {told.get('detail')}")
    return str(told["conversation_id"])
