"""What a wire dialect is: a sans-I/O connection that takes frames in and gives outputs out, and a pure renderer.

The shell (adapters/web/socket.py) owns the socket and does what the outputs say, in their order; a dialect never
awaits, reads a clock or touches a socket. It is the same split as h11's and wsproto's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, Protocol

from msgspec import Struct

from core.identifiers import StreamName
from core.messages import Outcome, Recorded


class Reach(Enum):
    """Whom a record's frame is for, judged by the connection the record's command came by (`Stamp.origin`)."""

    EVERYONE = "everyone"
    ORIGIN = "origin"
    OTHERS = "others"


class Frame(Struct, frozen=True, gc=False):
    """One record as one wire message, encoded once for all who hear it.

    `is_answer`: its sender, who is not among those it is for, gets the same as the answer to its command.
    """

    body: bytes
    to: Reach = Reach.EVERYONE
    is_answer: bool = False


class Handshake(Struct, frozen=True):
    """What a connection knows of itself when it opens.

    `connection_id` is `<boot>.<number>`; `path` the parameters of the matched path; `epoch` the log's. `new_id` is a
    UUID that nobody has used, for what the connection may have to open. `roles` are what who connects may be, by name.
    """

    connection_id: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    principal: str
    epoch: str
    new_id: str = ""
    roles: frozenset[str] = frozenset()


class Write(Struct, frozen=True, gc=False):
    """Send this frame to this connection alone."""

    body: bytes


class Listen(Struct, frozen=True, gc=False):
    """Begin to keep, from this moment, what `stream` records, for this connection. Nothing is shown before `Hear`."""

    stream: StreamName


class Tell(Struct, frozen=True, gc=False):
    """Give the command to the actor of `stream`; its outcome comes back through `Connection.settled`.

    `blob` are bytes the command names by their digest. They are in the blob store before the actor hears of it, and
    what this connection says later waits behind them; where they cannot be kept, the outcome is `Unavailable`.
    """

    stream: StreamName
    command: Any
    command_id: str | None = None
    blob: bytes | None = None


class Hear(Struct, frozen=True, gc=False):
    """Show this connection every record of `stream` above `version`, at which the stream's state is `state`."""

    stream: StreamName
    state: Any
    version: int


class Recall(Struct, frozen=True, gc=False):
    """Resume: fold `stream` up to version `since`, give that state to `Connection.recalled`, then render what came
    after, up to the version `until`. A stream that ends before either is told as far as it goes."""

    stream: StreamName
    since: int
    until: int


class Tune(Struct, frozen=True, gc=False):
    """Hear a wide topic: records of whatever streams the dialect says belong to it (`Dialect.topics`).

    With `after`, a position of the log, first what came behind that, then live; None: live. Either way the connection
    is told by `Connection.tuned` where it begins, before the first record is shown. Tuned again, it begins again.
    """

    topic: str
    after: int | None = None


STREAM_TOPIC = "stream:"
"""What the name of a wide topic begins with to which the records of one stream alone belong; the stream's follows.
Who hears it is sent away, as all who listen to the stream, when that is told anew."""


class Untune(Struct, frozen=True, gc=False):
    """Hear the wide topic no more."""

    topic: str


class Close(Struct, frozen=True, gc=False):
    """Close the socket after all that was written, with this code and reason.

    `to` is of use in a farewell alone: whom of the stream's listeners it closes.
    """

    code: int
    reason: str
    to: Reach = Reach.EVERYONE


Output = Write | Listen | Tell | Hear | Recall | Tune | Untune | Close


class Connection(Protocol):
    """One client's side of the talk. Plain functions; `now` is µs UTC since the epoch."""

    def opened(self, now: int) -> Sequence[Output]:
        """The socket was accepted."""

    def received(self, frame: str | bytes, now: int) -> Sequence[Output]:
        """One whole text or binary message came."""

    def throttled(self, retry_after: float, now: int) -> Sequence[Output]:
        """A message came and was not taken, as this client sends too many; it may come again in `retry_after` s."""

    def settled(self, tell: Tell, outcome: Outcome, now: int) -> Sequence[Output]:
        """What became of a command this connection told."""

    def recalled(self, stream: StreamName, state: Any, version: int, now: int) -> Sequence[Output]:
        """The state at the version this connection resumes from, or at the stream's last if it does not go so far."""

    def tuned(self, topic: str, position: int, now: int) -> Sequence[Output]:
        """From here on the connection hears the wide topic's records behind this position of the log. What it says to
        that is done before the first of them is shown, and before all it said earlier that still waits."""

    def closed(self, now: int) -> Sequence[Output]:
        """The socket is gone; only `Tell` is of use now."""


class Dialect(Protocol):
    """One wire protocol."""

    @property
    def name(self) -> str: ...

    def connect(self, handshake: Handshake) -> Connection:
        """The connection object of one newly accepted socket."""

    def render(self, record: Recorded, state: Any) -> Frame | None:
        """The frame `record` is on this wire, None when it is not shown. `state` is the stream's after the record.

        Pure: the same record and state give the same bytes, live, on resume and in a replay years later.
        """

    def farewell(self, record: Recorded, state: Any) -> Close | None:
        """The close listeners of the stream get after this record's frame, None for nearly all records."""

    def topics(self, record: Recorded) -> Sequence[str]:
        """The wide topics a record belongs to; none for nearly all."""

    def render_wide(self, record: Recorded, topic: str) -> Frame | None:
        """The frame a record is to those who are tuned to the topic. Pure, and without any stream's state."""


class Endpoint(Struct, frozen=True):
    """Where a dialect is spoken: a path, with its parameters as `<name>`, and the dialect a handshake's query asks for.

    Every package of dialects has `endpoints(names)`, of which the app finds out by itself; `names` are those settings
    a path or a dialect may hang on, such as `obfuscated_ws_path`. Where it `is_open` nobody is asked for a token. Who
    has none of the `roles` is turned away; where there are none, everybody is let in.
    """

    path: str
    dialect_for: Callable[[Mapping[str, str]], Dialect]
    is_open: bool = False
    roles: frozenset[str] = frozenset()


class Described(Struct, frozen=True):
    """One kind of frame, for who reads about the dialect: `type` is what it is encoded from or read as (or what says
    the same of it), and its JSON Schema is made of that. Within a dialect and a direction the name is of one kind."""

    name: str
    type: Any
    summary: str


class Reference(Struct, frozen=True):
    """What a dialect says of itself in the API reference.

    `received` and `sent` are the server's. `query` is a type whose fields are the handshake's query; `parameters` says
    what those of the path are; `closes` when this dialect closes a socket by itself, by code. `names` stand in the
    paths where the reference is not one server's.

    Every package of dialects has one as `REFERENCE`, beside `endpoints`.
    """

    name: str
    summary: str
    received: Sequence[Described]
    sent: Sequence[Described]
    closes: Mapping[int, str]
    query: Any = None
    parameters: Mapping[str, str] = {}
    names: Mapping[str, str] = {}
