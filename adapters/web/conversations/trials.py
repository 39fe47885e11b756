"""What the routes for trying things out answer."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from adapters.web.conversations.shapes import Transcript
from adapters.web.described import Timestamp
from core.conversation import Phase


class TestConversation(Struct, frozen=True):
    conversation_id: str
    welcome_message: str
    personality: str
    status: Literal["ready"]
    websocket_url: str


class TestAddresses(Struct, frozen=True):
    websocket: str
    state: str
    send_message: str
    simulate_speech: str


class TestOpened(Struct, frozen=True):
    success: bool
    conversation: TestConversation
    test_endpoints: TestAddresses
    instructions: tuple[str, ...]


class TestExchanged(Struct, frozen=True):
    """`websocket_updates` are the types of the frames that sockets were sent meanwhile."""

    success: bool
    message_processed: bool
    conversation_id: str
    user_message: str
    ai_response: str | None
    feedback: dict[str, Any] | None
    current_state: Phase
    transcript: Transcript
    processing_time_ms: float
    websocket_updates: list[str]


class SpeechStep(Struct, frozen=True):
    """One update of the transcript: `interim_text` grows by a word, the last has `final_text`."""

    step: int | Literal["final"]
    confidence: float
    is_final: bool
    interim_text: str | UnsetType = UNSET
    final_text: str | UnsetType = UNSET

    @property
    def text(self) -> str:
        return (self.final_text if self.is_final else self.interim_text) or ""


class SpeechResult(Struct, frozen=True):
    text: str
    confidence: float
    is_final: bool
    accumulated_transcript: str


class Spoken(Struct, frozen=True):
    success: bool
    conversation_id: str
    simulation_steps: list[SpeechStep]
    final_result: SpeechResult
    websocket_updates: list[str]


class TransitionTested(Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """`valid` is what the table says, `success` whether the decider really moved, `error` why it did not."""

    start: Phase
    end: Phase
    valid: bool
    success: bool
    error: str | UnsetType = UNSET


class TransitionsTested(Struct, frozen=True):
    success: bool
    conversation_id: str
    initial_state: Phase
    final_state: Phase
    transitions_tested: list[TransitionTested]
    websocket_updates: list[str]


class TestDeleted(Struct, frozen=True):
    success: bool
    conversation_id: str
    message: str


class Component(Struct, frozen=True):
    """Whether a part works, and what was seen of it."""

    status: Literal["operational", "failed"]
    error: str | UnsetType = UNSET
    probe_ms: float | UnsetType = UNSET
    active_connections: int | UnsetType = UNSET
    active_actors: int | UnsetType = UNSET
    events: int | UnsetType = UNSET
    epoch: str | UnsetType = UNSET
    model: str | UnsetType = UNSET


class SystemStatus(Struct, frozen=True):
    success: bool
    timestamp: Timestamp
    system_status: Literal["operational", "degraded"]
    components: dict[str, Component]
    test_endpoints: dict[str, str]


class StressDetail(Struct, frozen=True):
    """One message of a stress test; `reached` counts the sockets that heard its answer."""

    message_number: int
    success: bool
    processing_time_ms: float
    reached: int
    error: str | UnsetType = UNSET


class StressResults(Struct, frozen=True):
    total_time_seconds: float
    successful_messages: int
    failed_messages: int
    success_rate: float
    average_processing_time_ms: float
    total_processing_time_ms: float


class StressState(Struct, frozen=True):
    conversation_state: Phase
    active_connections: int
