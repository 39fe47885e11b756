// Connections from the server's notes of delivery: who came, what they heard, how far they got, how they ended. The
// notes are short arrays; core/delivery.py says what stands where.

const BLANK = { principal: null, dialect: null, opened: null, since: null, hears: [], written: null, acknowledged: 0, closed: null, code: null };

/** All connections that those events `delivery.noted` tell of, the newest first. `entries` are of the audit, in any order. */
export function connectionsIn(entries) {
  const notes = [...entries].sort((one, other) => one.position - other.position);
  const found = new Map();
  for (const { stream, payload } of notes) {
    const run = runOf(stream);
    if (run !== null && payload?.note) take(found, run, payload.note);
  }
  const current = notes.length ? runOf(notes.at(-1).stream) : null;
  const all = [...found.values()].map((each) => ({ ...each, isOpen: each.closed === null && each.run === current }));
  return all.sort((one, other) => (other.opened ?? 0) - (one.opened ?? 0));
}

/** Which run of the server a stream of notes is of: `delivery-<run>.<part>`. */
function runOf(stream) {
  return /^delivery-(.+)\.\d+$/.exec(stream)?.[1] ?? null;
}

function take(found, run, note) {
  const tell = (number, told) => {
    const id = `${run}.${number}`;
    found.set(id, { ...(found.get(id) ?? { ...BLANK, id, run }), ...told });
  };
  for (const [number, opened, principal, dialect, , since] of note.opened ?? []) {
    tell(number, { opened, principal, dialect, since: since ?? null });
  }
  for (const [hears, numbers] of note.hearing ?? []) numbers.forEach((number) => tell(number, { hears }));
  for (const [written, , numbers] of note.written ?? []) numbers.forEach((number) => tell(number, { written }));
  for (const [acknowledged, numbers] of note.acknowledged ?? []) numbers.forEach((number) => tell(number, { acknowledged }));
  for (const [number, closed, code] of note.closed ?? []) tell(number, { closed, code });
}
