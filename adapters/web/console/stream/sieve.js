// Which events of a stream are listed: all, or without the pieces of what was said, or of some lanes alone. No DOM.

import { countBefore } from "./outline.js";

const PIECE = /piece_added(\/\d+)?$/;

/** Whether an event adds a piece to what is being said: what it comes to follows as a whole. */
export const isPiece = (event) => PIECE.test(event);

/** The versions of `outline` that are listed, as rows from 1 on. `hidden` are indices of lanes. */
export class Sieve {
  #rows = [];
  #seen = 0;
  #pieces = new Map();

  constructor(outline, { withoutPieces = false, hidden = [] } = {}) {
    this.outline = outline;
    this.withoutPieces = withoutPieces;
    this.hidden = new Set(hidden);
    this.isOpen = !withoutPieces && this.hidden.size === 0;
  }

  /** Take in what was recorded since. */
  grow() {
    if (!this.isOpen) {
      for (let version = this.#seen + 1; version <= this.outline.version; version += 1) if (this.#passes(version)) this.#rows.push(version);
    }
    this.#seen = this.outline.version;
    return this;
  }

  /** How many are listed. */
  get size() {
    return this.isOpen ? this.#seen : this.#rows.length;
  }

  /** How many are not. */
  get leftOut() {
    return this.#seen - this.size;
  }

  /** The version in a row; undefined where there is no such row. */
  version(row) {
    if (this.isOpen) return row >= 1 && row <= this.#seen ? row : undefined;
    return this.#rows[row - 1];
  }

  /** The row of a version, or of the last one listed before it; 0 where there is none. */
  row(version) {
    return this.isOpen ? Math.min(version, this.#seen) : countBefore(this.#rows, this.#rows.length, version + 1);
  }

  /** `by` rows on (or back), as a version: from what is not listed, to what is beside it. */
  step(version, by) {
    const row = this.row(version);
    const isBetween = by < 0 && this.version(row) !== version;
    return this.version(Math.min(this.size, Math.max(1, row + by + (isBetween ? 1 : 0))));
  }

  /** The rows from `first` to `until` as few spans of versions, [from, until] each: what lies far between two is in none. */
  spans(first, until, far) {
    const spans = [];
    for (let row = first; row <= until; row += 1) {
      const version = this.version(row);
      const last = spans.at(-1);
      if (last && version - last[1] <= far) last[1] = version;
      else spans.push([version, version]);
    }
    return spans;
  }

  #passes(version) {
    if (this.hidden.has(this.outline.lane(version))) return false;
    if (!this.withoutPieces) return true;
    const event = this.outline.event(version);
    if (!this.#pieces.has(event)) this.#pieces.set(event, isPiece(event));
    return !this.#pieces.get(event);
  }
}
