// Times as people type them: in the zone all times on the page are shown in. Addresses and questions have
// them in UTC, so that a link means the same everywhere. Fractions of a second are kept as text: µs matter here.

import { ahead, isUtc, ownZone } from "../zone.js";

const TYPED = /^(?:(\d{4})-(\d\d)-(\d\d))?(?:(?:^|[T ])(\d\d):(\d\d)(?::(\d\d)(\.\d{1,6})?)?)?$/;
const STATED = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(\.\d{1,9})?)?)?(Z|[+-]\d\d:?\d\d)?$/;
const pad = (value) => String(value).padStart(2, "0");

/** What was typed, in UTC: "14:03:07" is that time today. What is no such time stays as it is; the server says why. */
export function toUtc(text, today = new Date()) {
  const typed = TYPED.exec(text.trim());
  if (!typed || text.trim() === "") return text.trim();
  const [, year, month, day, hours = 0, minutes = 0, seconds = 0, fraction = ""] = typed;
  const here = shifted(today);
  const date = year ? [year, month - 1, day] : [here.getUTCFullYear(), here.getUTCMonth(), here.getUTCDate()];
  const fields = [...date, hours, minutes, seconds];
  const then = isUtc() ? new Date(Date.UTC(...fields)) : new Date(...fields);
  return Number.isNaN(then.getTime()) ? text.trim() : then.toISOString().replace(/\.000Z$/, `${fraction}Z`);
}

/** A time of an address (UTC where it says nothing else) as one would type it. What is none stays as it is. */
export function toTyped(text) {
  const stated = STATED.exec(text);
  if (!stated) return text;
  const [, day, minutes = "00:00", seconds = "00", fraction = "", zone = "Z"] = stated;
  const at = new Date(`${day}T${minutes}:${seconds}${zone}`);
  if (Number.isNaN(at.getTime())) return text;
  const then = shifted(at);
  const date = `${then.getUTCFullYear()}-${pad(then.getUTCMonth() + 1)}-${pad(then.getUTCDate())}`;
  return `${date} ${pad(then.getUTCHours())}:${pad(then.getUTCMinutes())}:${pad(then.getUTCSeconds())}${fraction}`;
}

/** The zone those are in, for people. */
export const zone = () => (isUtc() ? "UTC" : ownZone());

/** A date whose UTC fields are those of that zone. */
const shifted = (date) => new Date(date.getTime() + ahead(date.getTime()) * 60_000);
