// Times, durations, numbers and names, as people read them. Times are µs UTC since the epoch, as on the wire, and are
// shown in the zone that zone.js knows.

import { ahead, zoneLabel } from "./zone.js";

const NUMBER = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const DAY = new Intl.DateTimeFormat("en", { year: "numeric", month: "short", day: "numeric", timeZone: "UTC" });
const pad = (number, width = 2) => String(number).padStart(width, "0");

/** µs of an ISO text or of a number of µs; null for anything else. */
export function micros(time) {
  if (typeof time === "number") return Number.isFinite(time) ? time : null;
  const parsed = Date.parse(time);
  return Number.isNaN(parsed) ? null : parsed * 1000;
}

/** The present, µs. */
export const now = () => Date.now() * 1000;

/** A date whose UTC fields are those of the shown zone. */
const shifted = (at) => new Date(at / 1000 + ahead(at / 1000) * 60_000);

/** "14:03:07", with milliseconds "14:03:07.123". */
export function clock(at, withMillis = false) {
  const date = shifted(at);
  const seconds = `${pad(date.getUTCHours())}:${pad(date.getUTCMinutes())}:${pad(date.getUTCSeconds())}`;
  return withMillis ? `${seconds}.${pad(date.getUTCMilliseconds(), 3)}` : seconds;
}

/** "Jul 3, 2025 14:03:07.123". */
export const moment = (at) => `${DAY.format(shifted(at))} ${clock(at, true)}`;

/** "Jul 3, 2025 14:03:07.123 UTC+2 · 2025-07-03T12:03:07.123Z": nothing is left to guess. */
export const exactly = (at) => `${moment(at)} ${zoneLabel(at / 1000)} · ${iso(at)}`;

/** The time in ISO 8601, UTC, for `datetime` and for copying. */
export const iso = (at) => new Date(at / 1000).toISOString();

/** A length of µs: "840 µs", "12 ms", "3.4 s", "2 min 5 s", "3 h 12 min", "4 d 2 h". */
export function duration(length) {
  const micro = Math.abs(length);
  if (micro < 1000) return `${Math.round(length)} µs`;
  if (micro < 1e6) return `${NUMBER.format(length / 1000)} ms`;
  if (micro < 60e6) return `${NUMBER.format(length / 1e6)} s`;
  const seconds = Math.floor(micro / 1e6);
  const [large, small, units] = seconds < 3600 ? [60, 1, ["min", "s"]]
    : seconds < 86400 ? [3600, 60, ["h", "min"]] : [86400, 3600, ["d", "h"]];
  const rest = Math.floor((seconds % large) / small);
  const sign = length < 0 ? "-" : "";
  return `${sign}${Math.floor(seconds / large)} ${units[0]}${rest ? ` ${rest} ${units[1]}` : ""}`;
}

/** How long ago that was: "now", "12 s ago", "3 min ago", "in 4 s". */
export function ago(at, present = now()) {
  const seconds = Math.floor(Math.abs(present - at) / 1e6);
  if (seconds < 1) return "now";
  const [unit, name] = seconds < 60 ? [1, "s"] : seconds < 3600 ? [60, "min"] : seconds < 86400 ? [3600, "h"] : [86400, "d"];
  const length = `${Math.floor(seconds / unit)} ${name}`;
  return at > present ? `in ${length}` : `${length} ago`;
}

/** "1,234.5". */
export const number = (value) => (value == null ? "–" : NUMBER.format(value));

/** "1.2K", for tight places. */
export const compact = (value) => (value == null ? "–" : COMPACT.format(value));

/** "12 events", "1 event". */
export const count = (amount, one, many = `${one}s`) => `${number(amount)} ${amount === 1 ? one : many}`;

/** A number of bytes: "512 B", "1.5 MB". */
export function bytes(amount) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let scaled = amount;
  let unit = 0;
  for (; scaled >= 1000 && unit < units.length - 1; unit++) scaled /= 1000;
  return `${NUMBER.format(scaled)} ${units[unit]}`;
}

/** A long id with its middle left out; what has up to `length` characters stays whole. */
export function shortId(id, length = 16) {
  if (id.length <= length) return id;
  const tail = Math.floor((length - 1) / 2);
  return `${id.slice(0, length - 1 - tail)}…${tail ? id.slice(-tail) : ""}`;
}

/** The category of a stream: what stands before its first dash. */
export const category = (stream) => stream.split("-", 1)[0];

/** `conversation.message_said` → "message said". */
export const eventLabel = (name) => name.slice(name.indexOf(".") + 1).replaceAll("_", " ");

/** The link to a stream, at one of its events when `at` is given. */
export const streamHref = (stream, at = null) => `#${encodeURIComponent(stream)}${at == null ? "" : `@${at}`}`;

/** The place of an event's id `stream@version`: [stream, version], or null. */
export function eventPlace(id) {
  const divide = id.lastIndexOf("@");
  const version = Number(id.slice(divide + 1));
  return divide > 0 && Number.isInteger(version) ? [id.slice(0, divide), version] : null;
}
