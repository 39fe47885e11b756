"""The dialect `console`: the page at `/console/` sees what the log holds, live and at any place of the past.

Nothing is done by it but looking. A connection hears light frames of all that is recorded (`board`), whole records of
streams it watches, and asks for pages of a stream and for its state at a version. The first time it asks for any of
these of a stream, that is put on record (`audit.accessed`) before it is told anything.

What the frames say of an event besides its content is for whoever else shows events: `event_name`, `lane_of`, `says`.
"""

from adapters.protocols.console.dialect import CONSOLE, ConsoleDialect, endpoints
from adapters.protocols.console.lanes import LANES, Lane, lane_of
from adapters.protocols.console.naming import event_name
from adapters.protocols.console.reference import REFERENCE
from adapters.protocols.console.saying import says

__all__ = ["CONSOLE", "LANES", "REFERENCE", "ConsoleDialect", "Lane", "endpoints", "event_name", "lane_of", "says"]
