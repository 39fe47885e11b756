// Which rows are shown, and in which order.

const COLLATOR = new Intl.Collator("en", { numeric: true });
const byText = (field) => (one, other) => COLLATOR.compare(one[field] ?? "", other[field] ?? "");
const byNumber = (field) => (one, other) => (one[field] ?? 0) - (other[field] ?? 0);

/** The columns: `first` is the direction a column has when it is chosen. */
export const COLUMNS = [
  { id: "stream", label: "Stream", compare: byText("stream"), first: "ascending" },
  { id: "kind", label: "Kind", compare: byText("kind"), first: "ascending" },
  { id: "label", label: "State", compare: byText("label"), first: "ascending" },
  { id: "time", label: "Last event", compare: byNumber("time"), first: "descending" },
  { id: "perMinute", label: "Events/min", compare: byNumber("perMinute"), first: "descending", isNumber: true },
  { id: "watchers", label: "Watchers", compare: byNumber("watchers"), first: "descending", isNumber: true },
  { id: "mailbox", label: "Mailbox", compare: byNumber("mailbox"), first: "descending", isNumber: true },
  { id: "effects", label: "Effects", compare: byNumber("effects"), first: "descending", isNumber: true },
];

/** The kind to wish for who wants to see all, also what the server writes for itself. */
export const EVERYTHING = "*";
const OWN = new Set(["audit", "delivery"]);

/** Whether a wish for `wished` means that kind; "" is for all that somebody takes part in. */
export const isWished = (kind, wished) => wished === EVERYTHING || (wished ? kind === wished : !OWN.has(kind));

/** How the board is shown at first. */
export const FIRST_WISH = Object.freeze({ text: "", kind: "", label: "", by: "time", direction: "descending" });

/** The wish with another column to go by, or its direction turned. */
export function sortedBy(wish, id) {
  const turned = wish.direction === "ascending" ? "descending" : "ascending";
  return { ...wish, by: id, direction: wish.by === id ? turned : COLUMNS.find((column) => column.id === id).first };
}

/** The streams of the rows that are wished for, in order. */
export function ordered(rows, wish) {
  const words = wish.text.toLowerCase().split(/\s+/).filter(Boolean);
  const { compare } = COLUMNS.find(({ id }) => id === wish.by);
  const sign = wish.direction === "ascending" ? 1 : -1;
  return rows
    .filter((row) => isWished(row.kind, wish.kind) && (!wish.label || row.label === wish.label) && hasAll(row, words))
    .sort((one, other) => sign * compare(one, other) || (one.stream < other.stream ? -1 : 1))
    .map(({ stream }) => stream);
}

function hasAll(row, words) {
  if (!words.length) return true;
  const text = `${row.stream}\n${row.label}\n${row.event ?? ""}\n${row.says}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

/** The different values of a field with how many rows have each, most first. */
export function tally(rows, field) {
  const counts = new Map();
  for (const row of rows) counts.set(row[field], (counts.get(row[field]) ?? 0) + 1);
  return [...counts].sort((one, other) => other[1] - one[1] || COLLATOR.compare(one[0], other[0]));
}
