"""The stage of the dialect `console`: others talk elsewhere, and it looks."""

from __future__ import annotations

import json

from adapters.protocols.console.dialect import dialect_for
from core.channel import Publish, stream_of
from core.conversation import OpenConversation, Phase, RequestPhase, UpdateTranscript
from core.delivery import Note, NoteDelivery, Opened
from core.identifiers import Category, StreamName
from tests.dialogues.stage import Stage


class ConsoleStage(Stage):
    def __init__(self) -> None:
        super().__init__(dialect_for, Category.CONVERSATION, "", "")

    def happen(self, words: list[str]) -> bool:
        match words:
            case ["somebody", "opens", stream]:
                self.tell(StreamName.parse(stream), OpenConversation())
            case ["somebody", "says", text, "in", stream]:
                self.tell(StreamName.parse(stream), UpdateTranscript(None, text))
            case ["somebody", "wants", phase, "in", stream]:
                self.tell(StreamName.parse(stream), RequestPhase(Phase(phase)))
            case ["somebody", "publishes", payload, "on", channel]:
                self.tell(stream_of(channel), Publish(channel, json.loads(payload)))
            case ["the", "server", "notes", "deliveries"]:
                opened = Opened(1, 2, "ann", "channels")
                self.tell(StreamName.of(Category.DELIVERY, "boot.1"), NoteDelivery(Note(1, (opened,))))
            case ["somebody", "says", count, "things", "in", stream]:
                for n in range(int(count)):
                    self.tell(StreamName.parse(stream), UpdateTranscript(f"word {n}"))
            case _:
                return super().happen(words)
        return True
