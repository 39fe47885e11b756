"""The dialect `channels`: whoever subscribes to a channel hears what all others publish on it.

There is no greeting, no echo and no acknowledgement: clients take the first frame they get for the answer to their
first request. Two kinds of subscribers hear a channel by two wide topics, as their frames differ: plain ones as in the
seed, and those with the envelope, who are told each frame's position in the log, to resume behind.

A question to the assistant (`ask`) is a command to the conversation of its thread, and is acknowledged no more than a
publish is: what the assistant does is published on the channel, from where the asker hears it like everybody else.
"""

from adapters.protocols.channels.dialect import CHANNELS, ChannelsDialect, dialect_for, endpoints
from adapters.protocols.channels.reference import REFERENCE

__all__ = ["CHANNELS", "REFERENCE", "ChannelsDialect", "dialect_for", "endpoints"]
