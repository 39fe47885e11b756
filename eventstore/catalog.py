"""Stored names and the classes behind them; given by hand, so that a class may be renamed and a log still be read.

A name is `<kind>.<what happened>/<schema version>`. Names are for ever: tests/golden_events holds one stored
example of each, and every version ever shipped must still fold.
"""

from __future__ import annotations

from core import conversation as c
from core.decider import CommandRejected

EVENTS: dict[str, type] = {
    "command.rejected/1": CommandRejected,
    "conversation.opened/1": c.ConversationOpened,
    "conversation.interim_heard/1": c.InterimHeard,
    "conversation.final_heard/1": c.FinalHeard,
    "conversation.phase_entered/1": c.PhaseEntered,
    "conversation.speech_reported/1": c.SpeechReported,
    "conversation.message_said/1": c.MessageSaid,
    "conversation.reply_begun/1": c.ReplyBegun,
    "conversation.reply_piece_added/1": c.ReplyPieceAdded,
    "conversation.reply_failed/1": c.ReplyFailed,
    "conversation.reply_interrupted/1": c.ReplyInterrupted,
    "conversation.client_joined/1": c.ClientJoined,
    "conversation.client_left/1": c.ClientLeft,
    "conversation.migrated/1": c.ConversationMigrated,
}

COMMANDS: dict[str, type] = {
    "conversation.open/1": c.OpenConversation,
    "conversation.update_transcript/1": c.UpdateTranscript,
    "conversation.request_phase/1": c.RequestPhase,
    "conversation.report_speech/1": c.ReportSpeech,
    "conversation.say/1": c.Say,
    "conversation.give_reply/1": c.GiveReply,
    "conversation.begin_reply/1": c.BeginReply,
    "conversation.add_reply_piece/1": c.AddReplyPiece,
    "conversation.complete_reply/1": c.CompleteReply,
    "conversation.fail_reply/1": c.FailReply,
    "conversation.join_client/1": c.JoinClient,
    "conversation.leave_client/1": c.LeaveClient,
    "conversation.migrate/1": c.MigrateConversation,
    "conversation.end/1": c.EndConversation,
}
