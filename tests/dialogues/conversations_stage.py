"""The stage of the dialect `conversations`. The language model answers when the dialogue says so."""

from __future__ import annotations

import json
from typing import Any

from adapters.protocols.conversations import dialect_for
from core.conversation import (
    AddReplyPiece,
    BeginReply,
    CompleteReply,
    EndConversation,
    FailReply,
    GiveReply,
    MigrateConversation,
    OpenConversation,
    Say,
)
from core.identifiers import Category, StreamName
from tests.dialogues.stage import Stage


class ConversationsStage(Stage):
    def __init__(self, id: str) -> None:
        super().__init__(dialect_for, Category.CONVERSATION, "conversation_id", id)

    def outside(self, what: str) -> None:
        """What a dialogue's `*` line says."""
        method, _, rest = what.partition(" ")
        if method in {"POST", "PUT"}:
            path, _, body = rest.partition(" ")
            self._request(method, path.split("/")[2:], json.loads(body or "{}"))
        else:
            super().outside(what)

    def _request(self, method: str, path: list[str], body: dict[str, Any]) -> None:
        stream = StreamName.of(Category.CONVERSATION, self.id)
        match method, path:
            case "POST", ["v2", "conversations"]:
                self.tell(stream, OpenConversation(**body))
            case "POST", ["conversation"]:
                self.tell(stream, OpenConversation(created_via="legacy"))
            case "POST", ["v2", "conversations", "migrate"]:
                self.tell(stream, MigrateConversation())
            case "PUT", ["v2", "conversations", id, "end"]:
                self.tell(self.actor(id).stream, EndConversation())
            case "POST", ["conversations", id, "ai-response"]:
                self.tell(self.actor(id).stream, GiveReply(self.new_id(), **body))
            case "POST", ["v2", "conversations", id, "messages"]:
                self.tell(self.actor(id).stream, Say(self.new_id(), self.new_id(), body["content"]))
            case _:
                raise AssertionError(f"no such route on this stage: {method} {path}")

    def happen(self, words: list[str]) -> bool:
        match words:
            case ["model", "begins"]:
                self._draft(BeginReply("", "scripted"))
            case ["model", "says", text]:
                self._draft(AddReplyPiece("", 0, text))
            case ["model", "completes"]:
                self._draft(CompleteReply("", 0, ""))
            case ["model", "fails", reason, retry_after]:
                self._draft(FailReply("", reason, float(retry_after)))
            case _:
                return super().happen(words)
        return True

    def _draft(self, command: BeginReply | AddReplyPiece | CompleteReply | FailReply) -> None:
        """The model's next step in the reply under way."""
        actor = self.actor(self.id)
        reply = actor.state.replies[0]
        match command:
            case BeginReply(_, model):
                command = BeginReply(reply.reply_id, model)
            case AddReplyPiece(_, _, text):
                command = AddReplyPiece(reply.reply_id, reply.attempt, text)
            case CompleteReply():
                command = CompleteReply(reply.reply_id, reply.attempt, reply.text)
            case FailReply(_, reason, retry_after):
                command = FailReply(reply.reply_id, reason, retry_after)
        self.tell(actor.stream, command)
