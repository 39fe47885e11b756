"""What the core and the actors need of the outside, as protocols. Adapters and stores implement them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from msgspec import Struct

from core.identifiers import StreamName
from core.messages import Decision, Recorded
from core.shipping import Label, LabelOrder, Rate, Route


class Clock(Protocol):
    """Wall-clock time, the only source of `Stamp.time`."""

    def now(self) -> int:
        """µs UTC since the epoch."""


class Identifiers(Protocol):
    """A source of ids nobody has used before."""

    def new(self) -> str:
        """A UUID in its usual text form; later ones sort after earlier ones (version 7): indexes grow at one end."""


class WrongExpectedVersion(Exception):
    """Somebody else appended to the stream: recover, then decide again."""

    def __init__(self, stream: StreamName, expected: int, actual: int) -> None:
        super().__init__(f"{stream} is at version {actual}, not {expected}")
        self.stream, self.expected, self.actual = stream, expected, actual


class DuplicateCommand(Exception):
    """A command of these decisions is in the log already; its first outcome stands. Nothing was appended."""

    def __init__(self, stream: StreamName, command_id: str) -> None:
        super().__init__(f"{stream} has recorded command {command_id!r} already")
        self.stream, self.command_id = stream, command_id


class StoreUnavailable(Exception):
    """The log cannot be read or written now (disk full, locked, I/O error, closed).

    After an append it means: not known to be durable. Recover before deciding again.
    """


class Subscription(Protocol):
    """A cursor over the whole log: catch-up, then live; commit order, every event once, no gap."""

    def __aiter__(self) -> AsyncIterator[Sequence[Recorded]]:
        """Batches, each non-empty, for ever. Raises StoreUnavailable when the log cannot be read or is closed."""

    @property
    def position(self) -> int:
        """The last position given out."""


class EventStore(Protocol):
    """The append-only log. One contract suite (tests/eventstore) holds every implementation to the same behaviour."""

    @property
    def epoch(self) -> str:
        """Identity of this log's history; changes when a log is restored or re-created."""

    @property
    def head(self) -> int:
        """The last durable position, 0 for an empty log."""

    @property
    def forgettings(self) -> int:
        """Changes whenever something is forgotten: what was read before must not be written again after."""

    async def append(
        self, stream: StreamName, decisions: Sequence[Decision], *, expected_version: int
    ) -> tuple[Recorded, ...]:
        """Make all events of all `decisions` durable, in order and together, or none.

        Cancelled: either they are all there or none is. Raises WrongExpectedVersion, DuplicateCommand,
        StoreUnavailable. When a command id is known already, DuplicateCommand wins over WrongExpectedVersion.
        """

    async def read_stream(self, stream: StreamName, *, after: int = 0, limit: int | None = None) -> list[Recorded]:
        """The stream's events with versions above `after`, in order. Raises StoreUnavailable."""

    async def read_all(self, *, after: int = 0, limit: int = 1000) -> list[Recorded]:
        """The log's events with positions above `after`, in order. Raises StoreUnavailable."""

    async def read_events(self, stream: StreamName, *, after: int = 0) -> list[Any]:
        """As read_stream, but only the events themselves: what recovery folds, and so as lean as can be."""

    async def read_outcome(self, stream: StreamName, command_id: str) -> tuple[Recorded, ...]:
        """What the first command of this id led to on this stream, () when there was none. Raises StoreUnavailable."""

    async def read_commands(self, stream: StreamName) -> dict[int, Any]:
        """What the stream was told, by the version of the first event each command led to. None stands for one that
        the log has no more: it, or what came of it, was forgotten. Raises StoreUnavailable."""

    def subscribe(self, *, after: int = 0) -> Subscription:
        """Follow the log behind position `after`."""

    async def load_checkpoint(self, name: str) -> tuple[int, bytes] | None:
        """A view's position and saved form, None when it has none. Raises StoreUnavailable."""

    async def save_checkpoint(self, name: str, position: int, view: bytes) -> None:
        """Replace a view's checkpoint, which is derived: losing it costs time, never truth. Raises StoreUnavailable."""


class ToolSpec(Struct, frozen=True):
    """A tool a language model may call. `schema` is the JSON schema of its arguments, an object's."""

    name: str
    description: str
    schema: Mapping[str, Any]


class ToolCall(Struct, frozen=True, gc=False):
    """A language model wants a tool run. `arguments` are as it wrote them: JSON, where it kept to the schema."""

    id: str
    name: str
    arguments: str


class Turn(Struct, frozen=True):
    """One thing said, as a language model is told of it. `role` is "user", "assistant" or "tool".

    `tool_calls` are what an assistant called behind its words; a tool's turn has the result of the one of those whose
    id is `tool_call_id`. Each call's result follows before anybody else speaks: models refuse anything else.
    """

    role: str
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


class Prompt(Struct, frozen=True):
    """All a language model gets to see. `turns` ends with what is to be answered; `tools` are what it may call.

    Where there are `instructions`, they are said to it in place of what personality, topic and session type mean.
    """

    personality: str
    topic: str | None
    session_type: str
    turns: tuple[Turn, ...]
    tools: tuple[ToolSpec, ...] = ()
    instructions: str | None = None


class ModelFailure(Exception):
    """The language model gave no (whole) answer. `retry_after` in seconds, None when it did not say."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.retry_after = reason, retry_after


Piece = str | ToolCall
"""What an answer is made of."""


class LanguageModel(Protocol):
    """Drafts answers, piece by piece."""

    @property
    def name(self) -> str:
        """What the log calls it, e.g. `openai/gpt-4o-mini` or `offline-partner`."""

    def draft(self, prompt: Prompt) -> AbstractAsyncContextManager[AsyncIterator[Piece]]:
        """Pieces of the answer as they come; its texts joined are the words of it. Both may raise ModelFailure.

        Tool calls come whole, behind the words, and only where the prompt offers tools; a next prompt whose turns have
        their results leads to the answer proper.
        """


class BlobTooLarge(ValueError):
    """The bytes are more than the blob store takes; the message says how many that are."""


class BlobStore(Protocol):
    """Bytes by their SHA-256, beside the log: the log holds the digests. What was put is never changed."""

    async def put(self, content: bytes) -> str:
        """Keep `content`; returns its digest in lower-case hex. Durable on return. Raises BlobTooLarge, OSError."""

    async def get(self, digest: str) -> bytes | None:
        """What was kept under the digest; None when there is nothing, or it is no digest. Raises OSError."""


class CarrierFailure(Exception):
    """The carrier gave no (usable) answer. `retry_after` in seconds, None when it did not say."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.retry_after = reason, retry_after


class Carrier(Protocol):
    """Quotes rates and sells labels."""

    @property
    def name(self) -> str:
        """What logs call it."""

    async def rates(self, route: Route) -> Sequence[Rate]:
        """What each service would cost; never empty. Raises CarrierFailure."""

    async def label(self, order: LabelOrder, key: str) -> Label:
        """Buy a label. Asked again with the same idempotency key it is the same label. Raises CarrierFailure."""


class Weather(Struct, frozen=True):
    """The weather at a place. Temperatures in °C, humidity in %, wind in km/h, precipitation in mm, degrees of latitude
    and longitude; `observed_at` is ISO 8601 in the place's own time."""

    location: str
    country: str
    latitude: float
    longitude: float
    temperature: float
    apparent_temperature: float
    humidity: float
    precipitation: float
    wind_speed: float
    conditions: str
    observed_at: str


class ForecastFailure(Exception):
    """There is no forecast to be had. `retry_after` in seconds, None when nobody said."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.retry_after = reason, retry_after


class UnknownPlace(ForecastFailure):
    """Nobody knows where that is; asking again does not help."""


class Forecast(Protocol):
    """Knows what the weather is like."""

    @property
    def name(self) -> str:
        """What the log calls it, e.g. `open-meteo`."""

    async def current(self, place: str) -> Weather:
        """The weather there now. Raises UnknownPlace, ForecastFailure."""


class TranscriptionFailure(Exception):
    """There is no transcript to be had; the reason is for people. `retry_after` in seconds, None when nobody said."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.retry_after = reason, retry_after


class Transcriber(Protocol):
    """Writes down what is said."""

    @property
    def name(self) -> str:
        """What logs call it, e.g. `pocketsphinx`."""

    async def transcribe(self, clips: Sequence[bytes]) -> str:
        """The words in these clips, each a whole file, one after the other. Raises TranscriptionFailure."""
