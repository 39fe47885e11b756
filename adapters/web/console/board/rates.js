// What the counters of the server make each second.

const MOST_POINTS = 120;
const LONGEST_SPAN = 5;

/** The four lines: [id, label, unit, the unit in words]. */
export const LINES = [
  ["commands", "Commands", "/s", "per second"],
  ["commits", "Commits", "/s", "per second"],
  ["frames", "Fan-out", "frames/s", "frames per second"],
  ["latency", "Commit latency", "ms", "milliseconds on average"],
];

/** The last two minutes as columns: `at` in seconds, and one of each line; null where nothing can be said. */
export class Rates {
  at = [];
  columns = Object.fromEntries(LINES.map(([id]) => [id, []]));
  #last = null;

  /** The counters at a time (µs). */
  take(at, vitals) {
    const before = this.#last;
    if (before && at <= before.at) return;
    this.#last = { at, vitals };
    const rates = before ? between(before.vitals, vitals, (at - before.at) / 1e6) : {};
    this.#push(this.at, at / 1e6);
    for (const [id] of LINES) this.#push(this.columns[id], rates[id] ?? null);
  }

  #push(column, value) {
    column.push(value);
    if (column.length > MOST_POINTS) column.shift();
  }
}

/** After a restart of the server the counters begin anew, and after a pause they say nothing of single seconds. */
function between(old, fresh, seconds) {
  if (seconds > LONGEST_SPAN || fresh.commands < old.commands || fresh.frames < old.frames || fresh.commits < old.commits) return {};
  const commits = fresh.commits - old.commits;
  return {
    commands: (fresh.commands - old.commands) / seconds,
    commits: commits / seconds,
    frames: (fresh.frames - old.frames) / seconds,
    latency: commits ? ((fresh.commit_seconds - old.commit_seconds) / commits) * 1000 : null,
  };
}
