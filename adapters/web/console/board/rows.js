// The rows of the board: what the server's board says once a second, and what was heard of the log in between.

import { category } from "../format.js";

const BUCKET = 5_000;
const BUCKETS = 12;
const IDLE = Object.freeze(new Array(BUCKETS).fill(0));
const MOST_SAID = 4096;

/**
 * Rows by stream. A row is never changed but replaced, so that one that is the same need not be drawn again:
 * {stream, kind, label, version, event, says, rejected, time, watchers, mailbox, effects, counts, perMinute}, where
 * `counts` are the events of the last twelve spans of 5 s, oldest first. Times given to methods are ms, and only go on.
 */
export class Rows {
  #rows = new Map();
  #said = new Map();
  #bucket = null;
  #taken = null;

  get size() {
    return this.#rows.size;
  }

  /** The row of a stream, if it is live. */
  get(stream) {
    return this.#rows.get(stream);
  }

  /** All rows, in no order. */
  all() {
    return [...this.#rows.values()];
  }

  /** What the server's board says at `ms`. Streams it does not name are no longer live. */
  take(streams, ms) {
    this.#rotate(ms);
    // What happened while nobody looked is no rate of the last seconds.
    const isGap = this.#taken === null || ms - this.#taken > BUCKET;
    this.#taken = ms;
    const before = this.#rows;
    this.#rows = new Map(streams.map((told) => [told.stream, this.#merged(before.get(told.stream), told, isGap)]));
  }

  /** A light frame of the log. */
  hear(frame, ms) {
    this.#rotate(ms);
    const row = this.#rows.get(frame.stream);
    if (!row) this.#keep(frame);
    else if (frame.version > row.version) this.#rows.set(frame.stream, counted({ ...row, ...last(frame) }, frame.version - row.version));
  }

  /** A stream the board does not name yet: what it says is wanted in a second, when the board does. */
  #keep(frame) {
    this.#said.delete(frame.stream);
    this.#said.set(frame.stream, frame);
    if (this.#said.size > MOST_SAID) this.#said.delete(this.#said.keys().next().value);
  }

  #merged(row, told, isGap) {
    const { stream, label, watchers, mailbox, effects } = told;
    const kind = told.kind ?? category(stream);
    if (!row) return { stream, kind, label, watchers, mailbox, effects, ...this.#lastOf(told), counts: IDLE, perMinute: 0 };
    const news = told.version - row.version;
    const isSame = news <= 0 && row.label === label && row.watchers === watchers && row.mailbox === mailbox && row.effects === effects;
    if (isSame) return row;
    const merged = { ...row, label, watchers, mailbox, effects };
    if (news <= 0) return merged;
    const fresh = { ...merged, ...this.#lastOf(told) };
    return isGap ? fresh : counted(fresh, news);
  }

  #lastOf(told) {
    const heard = this.#said.get(told.stream);
    if (heard && heard.version >= told.version) {
      this.#said.delete(told.stream);
      return last(heard);
    }
    return { version: told.version, event: told.last_event, says: "", rejected: false, time: told.last_time };
  }

  /** Move all counts on by the spans that have passed; rows without any stay what they are. */
  #rotate(ms) {
    const bucket = Math.floor(ms / BUCKET);
    const passed = Math.min(BUCKETS, bucket - (this.#bucket ?? bucket));
    this.#bucket = bucket;
    if (!passed) return;
    for (const [stream, row] of this.#rows) {
      if (row.counts === IDLE) continue;
      const counts = [...row.counts.slice(passed), ...IDLE.slice(0, passed)];
      this.#rows.set(stream, { ...row, ...summed(counts) });
    }
  }
}

const last = ({ version, event, says, rejected, time }) => ({ version, event, says, rejected, time });

function counted(row, news) {
  const counts = [...row.counts];
  counts[BUCKETS - 1] += news;
  return { ...row, ...summed(counts) };
}

function summed(counts) {
  const perMinute = counts.reduce((sum, amount) => sum + amount, 0);
  return { counts: perMinute ? counts : IDLE, perMinute };
}
