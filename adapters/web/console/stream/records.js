// Whole records by version: asked for in aligned blocks as somebody looks at them, and the blocks looked at last are kept.

/** About what is in sight: the server answers in order, and whoever goes on to another event waits for the end of a page. */
const BLOCK = 50;
const MOST_BLOCKS = 200;
const MOST_ASKS = 2;
/** Milliseconds until the views say what they show of where one has come to: what they showed before is not asked for. */
const ARRIVING = 25;
/** Milliseconds after an ask that failed. */
const RETRY = 1000;

/** `ask(after, until)` resolves when the records behind `after` up to `until` have been given to `put`. */
export class Records {
  #blocks = new Map();
  #wanted = new Map();
  #asking = new Set();
  #generation = 0;
  #isResting = false;
  #lookedAt = -Infinity;
  #isLooking = false;

  /** Who looks at ever new versions has pages asked for each `pause` ms. */
  constructor(ask, { changed = () => {}, mostBlocks = MOST_BLOCKS, pause = 0, setTimeout = later } = {}) {
    this.ask = ask;
    this.pause = pause;
    this.changed = changed;
    this.mostBlocks = mostBlocks;
    this.setTimeout = setTimeout;
    this.failure = null;
  }

  /** The record, or undefined where it has not come yet. */
  get(version) {
    return this.#blocks.get(number(version))?.records[(version - 1) % BLOCK];
  }

  /** The record, asked for with those beside it where it has not come yet; undefined where the server has none. Rejects as
   * the ask does. */
  async read(version) {
    const n = number(version);
    if (this.get(version) === undefined) await this.ask(n * BLOCK, (n + 1) * BLOCK);
    return this.get(version);
  }

  put(record) {
    this.#block(number(record.version)).records[(record.version - 1) % BLOCK] = record;
  }

  /** From now on `who` looks at the versions `from` to `until`, and no more at what it looked at before. */
  want(who, from, until) {
    this.#wanted.set(who, [from, until]);
    this.#soon();
  }

  /** Somebody goes to `version`: views that show what is elsewhere will show that, and say so. */
  leave(version) {
    for (const [who, [from, until]] of this.#wanted) if (version < from || version > until) this.#wanted.delete(who);
  }

  /** Now where there is no pause, or a moment later when the pause since the last time is over. */
  #soon() {
    const wait = this.pause && Math.max(ARRIVING, this.#lookedAt + this.pause - performance.now());
    if (wait > 0 && !this.#isLooking) this.setTimeout(() => this.#look(), wait);
    this.#isLooking = wait > 0;
    if (wait <= 0) this.#look();
  }

  #look() {
    this.#isLooking = false;
    this.#lookedAt = performance.now();
    this.#pump();
  }

  /** After a loss of the connection: what was asked for is asked for again. */
  again() {
    this.#generation += 1;
    this.#isResting = false;
    this.#asking.clear();
    for (const block of this.#blocks.values()) block.asked = 0;
    this.#pump();
  }

  clear() {
    this.#generation += 1;
    this.#asking.clear();
    this.#blocks.clear();
  }

  get blocks() {
    return this.#blocks.size;
  }

  #block(n) {
    const block = this.#blocks.get(n) ?? { records: [], asked: 0 };
    this.#blocks.delete(n); // the one used last is the last
    this.#blocks.set(n, block);
    for (const old of this.#blocks.keys()) {
      if (this.#blocks.size <= this.mostBlocks) break;
      if (old !== n && !this.#asking.has(old)) this.#blocks.delete(old);
    }
    return block;
  }

  /** The blocks that are looked at and not whole, with the last version wanted of each. */
  *#missing() {
    for (const [from, until] of this.#wanted.values()) {
      for (let n = number(Math.max(1, from)); n <= number(until) && until >= 1; n += 1) {
        const last = Math.min(until, (n + 1) * BLOCK);
        const block = this.#block(n);
        if (block.asked >= last || this.#asking.has(n)) continue;
        for (let version = Math.max(from, n * BLOCK + 1); version <= last; version += 1) {
          if (block.records[(version - 1) % BLOCK] !== undefined) continue;
          yield [n, last];
          break;
        }
      }
    }
  }

  #pump() {
    if (this.#isResting) return;
    for (const [n, last] of this.#missing()) {
      if (this.#asking.size >= MOST_ASKS) return;
      this.#load(n, last);
    }
  }

  async #load(n, last) {
    const generation = this.#generation;
    this.#asking.add(n);
    const failure = await this.ask(n * BLOCK, last).then(() => null, (reason) => reason);
    if (generation !== this.#generation) return;
    this.#asking.delete(n);
    this.failure = failure;
    if (failure === null) this.#block(n).asked = last; // what a whole page did not have is not asked for again
    else this.#rest();
    this.changed();
    this.#soon();
  }

  #rest() {
    this.#isResting = true;
    this.setTimeout(() => {
      this.#isResting = false;
      this.#pump();
    }, RETRY);
  }
}

const later = (does, delay) => setTimeout(does, delay); // a browser's own wants to be called by itself
const number = (version) => Math.floor((version - 1) / BLOCK);
