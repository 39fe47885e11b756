"""The dialect `retell`: a voice platform's socket for one call, of whose answers only the newest is heard.

What the platform is told is rendered from the log, except for the configuration, pongs, and the apology for an answer
that could not even be asked for. It may not get a frame of an answer it has superseded, not even one that was recorded
before: `hearing.py` has that.
"""

from adapters.protocols.retell.connection import Tally
from adapters.protocols.retell.dialect import TALLY, RetellDialect, dialect_for, endpoints
from adapters.protocols.retell.reference import REFERENCE

__all__ = ["REFERENCE", "TALLY", "RetellDialect", "Tally", "dialect_for", "endpoints"]
