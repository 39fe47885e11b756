"""What in the log is of people or about them: the fields that are sealed where encryption is on.

Declared by hand beside the catalog, for every stored name: either its personal fields, or that it has none. Paths
go from the payload's top, `[]` stands for every element of an array. A value is sealed as a whole; so where a fold
counts the elements of an array, what is sealed is inside them. Ids stay readable, people's too: they are what the
log is asked by, and by whose they are a text is found and forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping

PERSONAL_EVENTS: Mapping[str, tuple[str, ...]] = {
    "command.rejected/1": ("message",),
    "conversation.opened/1": ("topic",),
    "conversation.interim_heard/1": ("text",),
    "conversation.final_heard/1": ("text",),
    "conversation.phase_entered/1": ("metadata",),
    "conversation.speech_reported/1": ("data",),
    "conversation.message_said/1": ("content", "audio_url", "feedback"),
    "conversation.reply_piece_added/1": ("text",),
    "conversation.reply_failed/1": ("reason",),
    "conversation.reply_interrupted/1": ("text",),
    "conversation.reply_tool_begun/1": ("arguments",),
    "conversation.reply_tool_ended/1": ("result",),
    "conversation.forked/1": ("prompt", "topic"),
    "session.opened/1": ("user_info",),
    "session.tool_call_requested/1": ("parameters",),
    "session.rates_requested/1": ("shipment",),
    "session.tool_call_succeeded/1": ("result",),
    "session.tool_call_failed/1": ("error", "original_request"),
    "session.rates_quoted/1": ("quotes",),
    "session.rates_failed/1": ("error", "original_request"),
    "session.transcription_succeeded/1": ("transcript",),
    "session.transcription_failed/1": ("error",),
    "session.context_updated/1": ("text", "content"),
    "session.value_set/1": ("value",),
    "session.chat_said/1": ("message",),
    "session.signal_relayed/1": ("content",),
    "call.described/1": ("details",),
    "call.greeting_given/1": ("content",),
    "call.utterances_added/1": ("utterances.[].content",),
    "call.utterance_continued/1": ("text",),
    "call.transcript_rewritten/1": ("utterances.[].content",),
    "call.response_piece_added/1": ("text",),
    "call.response_completed/1": ("rest", "text", "transfer_number", "digit_to_press"),
    "call.response_failed/1": ("reason", "apology", "text"),
    "call.response_superseded/1": ("text",),
    "call.tool_requested/1": ("arguments",),
    "call.tool_succeeded/1": ("result",),
    "call.tool_failed/1": ("error",),
    "call.metadata_shown/1": ("metadata",),
    "call.caller_interrupted/1": ("content",),
    "call.agent_adjusted/1": ("agent_config",),
    "call.unknown_noted/1": ("interaction_type", "reason"),
    "call.webhook_received/1": ("call",),
    "call.forked/1": ("prompt",),
    "channel.published/1": ("payload",),
}

IMPERSONAL_EVENTS = frozenset(
    {
        "conversation.reply_begun/1",
        "conversation.client_joined/1",
        "conversation.client_left/1",
        "conversation.migrated/1",
        "conversation.channel_chosen/1",
        "session.device_joined/1",
        "session.device_left/1",
        "session.devices_disconnected/1",
        "session.transcription_requested/1",
        "session.request_repeated/1",
        "session.answer_shared/1",
        "session.media_received/1",
        "session.peer_changed/1",
        "session.expired/1",
        "call.socket_connected/1",
        "call.socket_disconnected/1",
        "call.turn_passed/1",
        "call.response_required/1",
        "call.response_begun/1",
        "call.response_paused/1",
        "call.tool_begun/1",
        "call.ended/1",
        "channel.opened/1",
        "audit.accessed/1",
        "audit.subject_forgotten/1",
        "audit.streams_archived/1",
        "delivery.noted/1",
    }
)
"""Ids, numbers, times, states, and words of ours."""

PERSONAL_COMMANDS: Mapping[str, tuple[str, ...]] = {
    "conversation.open/1": ("topic",),
    "conversation.update_transcript/1": ("interim", "final"),
    "conversation.request_phase/1": ("metadata",),
    "conversation.report_speech/1": ("data",),
    "conversation.say/1": ("content", "audio_url", "target_vocabulary"),
    "conversation.give_reply/1": ("content", "audio_url", "feedback"),
    "conversation.add_reply_piece/1": ("text",),
    "conversation.complete_reply/1": ("content",),
    "conversation.fail_reply/1": ("reason",),
    "conversation.end/1": ("reason",),
    "conversation.ask/1": ("content",),
    "conversation.begin_reply_tool/1": ("arguments",),
    "conversation.end_reply_tool/1": ("result",),
    "conversation.fork/1": ("prompt", "topic"),
    "session.open/1": ("user_info",),
    "session.request_tool_call/1": ("parameters",),
    "session.request_rates/1": ("shipment",),
    "session.succeed_tool_call/1": ("result",),
    "session.fail_tool_call/1": ("error",),
    "session.quote_rates/1": ("quotes",),
    "session.fail_rates/1": ("error",),
    "session.succeed_transcription/1": ("transcript",),
    "session.fail_transcription/1": ("error",),
    "session.update_context/1": ("text", "content"),
    "session.set_value/1": ("value",),
    "session.chat/1": ("message",),
    "session.relay_signal/1": ("content",),
    "call.describe/1": ("details", "greeting"),
    "call.greet/1": ("greeting",),
    "call.update_transcript/1": ("transcript",),
    "call.require_response/1": ("transcript",),
    "call.show_metadata/1": ("metadata",),
    "call.interrupt_caller/1": ("content",),
    "call.adjust_agent/1": ("agent_config",),
    "call.note_unknown/1": ("interaction_type", "reason"),
    "call.add_response_piece/1": ("text",),
    "call.request_tools/1": ("calls.[].arguments",),
    "call.complete_response/1": ("rest", "transfer_number", "digit_to_press"),
    "call.fail_response/1": ("reason", "apology"),
    "call.succeed_tool/1": ("result",),
    "call.fail_tool/1": ("error",),
    "call.receive_webhook/1": ("call",),
    "call.fork/1": ("prompt",),
    "channel.publish/1": ("payload",),
}

IMPERSONAL_COMMANDS = frozenset(
    {
        "conversation.begin_reply/1",
        "conversation.join_client/1",
        "conversation.leave_client/1",
        "conversation.migrate/1",
        "session.join_device/1",
        "session.leave_device/1",
        "session.lose_devices/1",
        "session.disconnect_devices/1",
        "session.request_transcription/1",
        "session.receive_media/1",
        "session.report_peer/1",
        "session.share_answer/1",
        "session.expire/1",
        "call.connect_socket/1",
        "call.disconnect_socket/1",
        "call.lose_socket/1",
        "call.begin_response/1",
        "call.begin_tool/1",
        "call.end/1",
        "audit.note_access/1",
        "audit.record_forgetting/1",
        "audit.record_archive/1",
        "delivery.note/1",
    }
)

NAMES_BLOBS = ("session.media_received/1", "session.transcription_requested/1", "session.tool_call_succeeded/1")
"""Events whose payload may name bytes of the blob store, by their digest."""

OWNERS: Mapping[str, str] = {"conversation.opened/1": "user_id", "session.opened/1": "user"}
"""The first events that name the person whose stream it is, and the field that does."""

FORKED = ("conversation.forked/1", "call.forked/1")
"""The events that name the stream, their `source`, whose past theirs begins with a copy of."""

NOBODY = frozenset({"", "anonymous", "everybody", "system", "retell"})
"""Names that are no person's: who brought no token, whom sessions of streams are open to, effects, the platform."""

SHARED = frozenset({"channel"})
"""Categories whose streams many speak in: each event is of who caused it, not of who opened the stream."""
