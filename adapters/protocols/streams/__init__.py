"""The dialect `streams`: chat of all with all, audio, video and its transcription, and WebRTC signalling in a session.

Media travel as base64; their bytes go to the blob store, and an event names them by their digest. Frames rendered
from the session's log carry `seq`, the version to resume behind; `chat_message` has none, as it is of any session.
"""

from adapters.protocols.streams.dialect import STREAMS, StreamsDialect, dialect_for, endpoints
from adapters.protocols.streams.naming import stream_of
from adapters.protocols.streams.reference import REFERENCE

__all__ = ["REFERENCE", "STREAMS", "StreamsDialect", "dialect_for", "endpoints", "stream_of"]
