// The filters of the audit API, as fields of a form and of an address.

import { link } from "./address.js";
import { toTyped, toUtc } from "./times.js";

export const CATEGORIES = ["conversation", "call", "session", "channel", "audit", "delivery"];

/** Fields in their order. Names are those of the API; what is shown to people stands beside them. */
export const FIELDS = [
  { name: "text", label: "Words", hint: "in the event or its command: weather berg* \"an exact phrase\"", wide: true },
  { name: "stream", label: "Stream", hint: "conversation-…, call-…" },
  { name: "category", label: "Kind of stream", choices: CATEGORIES },
  { name: "event", label: "Event", hint: "conversation.message_said" },
  { name: "principal", label: "Principal", hint: "who did it" },
  { name: "since", label: "Since", hint: "14:03 or 2026-11-21 14:03:07", isTime: true },
  { name: "until", label: "Before", hint: "in the time zone the header says", isTime: true },
  { name: "correlation_id", label: "Correlation id", rare: true },
  { name: "causation_id", label: "Causation id", hint: "stream@version, the cause", rare: true },
  { name: "origin", label: "Connection (origin)", hint: "8e45873bded5.2", rare: true },
  { name: "command_id", label: "Command id", rare: true },
];

const NAMES = [...FIELDS.map((field) => field.name), "rejected", "newest_first"];

/** What people ask most, as links. */
export const PRESETS = [
  { label: "Newest events", fields: { newest_first: "true" } },
  { label: "Rejected commands", fields: { rejected: "true" } },
  { label: "Messages of conversations", fields: { event: "conversation.message_said" } },
  { label: "Utterances of calls", fields: { event: "call.utterances_added" } },
  { label: "Chats of sessions", fields: { event: "session.chat_said" } },
  { label: "Published on channels", fields: { event: "channel.published" } },
  { label: "Who looked into the log", fields: { event: "audit.accessed" } },
];

/** Those fields of an address that the audit API knows, in one order. */
export function filtersOf(fields) {
  return Object.fromEntries(NAMES.filter((name) => fields[name]).map((name) => [name, fields[name].trim()]));
}

const TIMES = FIELDS.filter((field) => field.isTime).map((field) => field.name);

/** Filters as one would type them. */
export const typed = (filters) => inTimes(filters, toTyped);

/** What was typed, as filters. */
export const untyped = (draft) => inTimes(filtersOf(draft), toUtc);

function inTimes(filters, turn) {
  const times = TIMES.filter((name) => filters[name]).map((name) => [name, turn(filters[name])]);
  return { ...filters, ...Object.fromEntries(times) };
}

/** The address of a question. */
export function searchLink(filters) {
  return link("#/audit", filtersOf(filters));
}

/** What the API is asked for these filters; without the order, which counts and exports do not have. */
export function question(filters) {
  const { newest_first: _, ...asked } = filters;
  return asked;
}

/** The same for pages: the newest come first where nothing else is said. */
export function pageQuestion(filters) {
  return { ...question(filters), newest_first: filters.newest_first ?? "true" };
}

/** What an error of the server's is about: messages by field of the question, and those that are of none. */
export function faultsOf(error, known = NAMES) {
  const faults = { fields: {}, rest: [] };
  const detail = error?.detail ?? error?.message ?? String(error);
  for (const each of Array.isArray(detail) ? detail : [{ msg: detail }]) {
    const field = each?.loc?.at(-1);
    const message = typeof each?.msg === "string" ? each.msg : JSON.stringify(each?.msg ?? each);
    if (known.includes(field)) faults.fields[field] = message;
    else faults.rest.push(field && each.loc.length > 1 ? `${field}: ${message}` : message);
  }
  return faults;
}
