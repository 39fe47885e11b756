"""The seed's migration utility: a legacy conversation is moved to the WebSocket API by the server that holds it."""

from __future__ import annotations

from adapters.posting import Refusal, Unanswered, post


class NotMigrated(Exception):
    """It was not moved; the message says why, and what to do."""


def migrate_at(server: str, session_id: str, token: str | None = None) -> str:
    """The conversation_id, at the server with this URL; `token` is for one with auth. Raises NotMigrated."""
    try:
        told = post(server, "/api/v2/conversations/migrate", {"session_id": session_id}, token)
    except Refusal as refusal:
        raise NotMigrated(f"{session_id} was not moved: {refusal}") from None
    except Unanswered as reason:
        raise NotMigrated(str(reason)) from None
    return str(told.get("conversation_id"))
