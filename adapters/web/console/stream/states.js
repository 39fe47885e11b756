// The states of a stream at its versions. While one is asked for only the newest wish waits, so a slider never lags behind.

const MOST_STATES = 16;

/** `ask(version)` resolves to the state then. */
export class States {
  #known = new Map();
  #wishes = [];
  #asking = null;
  #failed = new Map();
  #generation = 0;

  constructor(ask, { changed = () => {}, most = MOST_STATES } = {}) {
    this.ask = ask;
    this.changed = changed;
    this.most = most;
  }

  /** Why a version that is wished for cannot be had, `{version, reason}`; null where none failed. */
  get failure() {
    const version = this.#wishes.find((one) => this.#failed.has(one));
    return version === undefined ? null : { version, reason: this.#failed.get(version) };
  }

  /** The state, or undefined where it has not come yet. */
  get(version) {
    return this.#known.get(version);
  }

  /** The version that was wished for last, before what is beside it. */
  get wished() {
    return this.#wishes[0];
  }

  has(version) {
    return this.#known.has(version);
  }

  /** Wish for these, the first before the others, and no more for what was wished before. What failed is asked for again
   * by `again`, or when it is wished for after something else. */
  want(...versions) {
    this.#wishes = versions;
    for (const version of this.#failed.keys()) if (!versions.includes(version)) this.#failed.delete(version);
    for (const version of versions.toReversed().filter((one) => this.#known.has(one))) {
      this.#keep(version, this.#known.get(version)); // what is looked at is not dropped for what comes beside it
    }
    this.#pump();
  }

  /** After a loss of the connection, or a failure: ask again. */
  again() {
    this.#generation += 1;
    this.#asking = null;
    this.#failed.clear();
    this.#pump();
  }

  clear() {
    this.#known.clear();
    this.again();
  }

  #pump() {
    if (this.#asking !== null) return;
    const next = this.#wishes.find((version) => !this.#known.has(version) && !this.#failed.has(version));
    if (next !== undefined) this.#load(next);
  }

  async #load(version) {
    const generation = this.#generation;
    this.#asking = version;
    const [state, reason] = await this.ask(version).then((one) => [one, null], (failed) => [null, failed]);
    if (generation !== this.#generation) return;
    this.#asking = null;
    if (reason === null) this.#keep(version, state);
    else this.#failed.set(version, reason); // each is asked for once: two that fail do not take turns for ever
    this.changed();
    this.#pump();
  }

  #keep(version, state) {
    this.#known.delete(version);
    this.#known.set(version, state);
    for (const old of this.#known.keys()) {
      if (this.#known.size <= this.most) break;
      this.#known.delete(old);
    }
  }
}
