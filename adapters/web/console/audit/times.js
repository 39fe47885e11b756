// Times as people type them: in their own time zone, as all times on the page are shown. Addresses and questions have
// them in UTC, so that a link means the same everywhere. Fractions of a second are kept as text: µs matter here.

const TYPED = /^(?:(\d{4})-(\d\d)-(\d\d))?(?:(?:^|[T ])(\d\d):(\d\d)(?::(\d\d)(\.\d{1,6})?)?)?$/;
const STATED = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(?::(\d\d)(\.\d{1,9})?)?)?(Z|[+-]\d\d:?\d\d)?$/;
const pad = (value) => String(value).padStart(2, "0");

/** What was typed, in UTC: "14:03:07" is that time today. What is no such time stays as it is; the server says why. */
export function toUtc(text, today = new Date()) {
  const typed = TYPED.exec(text.trim());
  if (!typed || text.trim() === "") return text.trim();
  const [, year, month, day, hours = 0, minutes = 0, seconds = 0, fraction = ""] = typed;
  const date = year ? [year, month - 1, day] : [today.getFullYear(), today.getMonth(), today.getDate()];
  const then = new Date(...date, hours, minutes, seconds);
  return Number.isNaN(then.getTime()) ? text.trim() : then.toISOString().replace(/\.000Z$/, `${fraction}Z`);
}

/** A time of an address (UTC where it says nothing else) as one would type it. What is none stays as it is. */
export function toTyped(text) {
  const stated = STATED.exec(text);
  if (!stated) return text;
  const [, day, minutes = "00:00", seconds = "00", fraction = "", zone = "Z"] = stated;
  const then = new Date(`${day}T${minutes}:${seconds}${zone}`);
  if (Number.isNaN(then.getTime())) return text;
  const date = `${then.getFullYear()}-${pad(then.getMonth() + 1)}-${pad(then.getDate())}`;
  return `${date} ${pad(then.getHours())}:${pad(then.getMinutes())}:${pad(then.getSeconds())}${fraction}`;
}

/** The zone those are in, for people. */
export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
