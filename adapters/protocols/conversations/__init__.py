"""The dialect `conversations`: state, transcript, speech and answers of one conversation on many devices.

Every update is a frame of its own: interim transcripts are not coalesced (the contract's window of 0 ms), so no late
interim can ever stand behind a newer final.

Frames rendered from the log carry `seq`, the version to resume behind. The answer to a repeated command carries
`repeated: true` and no `seq`, as it says nothing about how far this connection has come: it may overtake frames still
on their way. It shows the first outcome's records; only a transcript is shown as it stands now, since the state of
that time is gone and an old interim must not hide a newer final.
"""

from adapters.protocols.conversations.dialect import (
    CONVERSATIONS,
    CONVERSATIONS_WITH_DELTAS,
    ConversationsDialect,
    dialect_for,
    endpoints,
)
from adapters.protocols.conversations.reference import REFERENCE

__all__ = [
    "CONVERSATIONS",
    "CONVERSATIONS_WITH_DELTAS",
    "REFERENCE",
    "ConversationsDialect",
    "dialect_for",
    "endpoints",
]
