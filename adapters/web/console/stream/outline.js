// A stream's outline: when each event was, which it was and in whose lane, as typed arrays. It holds 100 000 events in 3 MB.

export const LANES = ["person", "assistant", "tools", "devices", "system"];
/** µs: what is left of a silence where silences are cut. */
export const LONGEST_SILENCE = 2_000_000;

/** No more is in memory, and the server tells no more of them at once: a page may be left open for months. */
export const MOST_EVENTS = 1_000_000;

const FIRST_ROOM = 1024;

/** The events of a stream by version, from 1 on. */
export class Outline {
  version = 0;
  names = [];
  #numbers = new Map();
  #times = new Float64Array(FIRST_ROOM);
  #places = new Float64Array(FIRST_ROOM);
  #cut = new Float64Array(FIRST_ROOM);
  #events = new Uint16Array(FIRST_ROOM);
  #lanes = new Uint8Array(FIRST_ROOM);

  /** From the server's answer. */
  static from({ first, steps, names, events, lanes }) {
    const outline = new Outline();
    outline.#reserve(steps.length);
    let time = first;
    for (let n = 0; n < steps.length; n += 1) {
      time += n === 0 ? 0 : steps[n];
      outline.#add(time, names[events[n]], lanes[n]);
    }
    return outline;
  }

  /** The record behind the last one. */
  append({ time, event, lane }) {
    this.#reserve(this.version + 1);
    this.#add(time, event, Math.max(0, LANES.indexOf(lane)));
  }

  /** When the first event was, µs UTC. */
  get first() {
    return this.#times[0];
  }

  /** When it was, µs UTC. */
  time(version) {
    return this.#times[version - 1];
  }

  event(version) {
    return this.names[this.#events[version - 1]];
  }

  /** Index into LANES. */
  lane(version) {
    return this.#lanes[version - 1];
  }

  /** µs between it and the event before. */
  silence(version) {
    return version < 2 ? 0 : this.#places[version - 1] - this.#places[version - 2];
  }

  /** Where the events are on an axis of time, µs behind the first one, never backwards though a clock may be set back. With
   * `isCut`, silences are cut. Index 0 is version 1; what lies behind `version` means nothing. */
  places(isCut = false) {
    return isCut ? this.#cut : this.#places;
  }

  /** The lanes, as `places`. */
  get lanes() {
    return this.#lanes;
  }

  /** How many events each lane has, and its first and last version. */
  summary() {
    const lanes = LANES.map((lane) => ({ lane, events: 0, first: 0, last: 0 }));
    for (let version = 1; version <= this.version; version += 1) {
      const one = lanes[this.#lanes[version - 1]];
      one.events += 1;
      one.first ||= version;
      one.last = version;
    }
    return lanes;
  }

  #add(time, name, lane) {
    const n = this.version;
    let number = this.#numbers.get(name);
    if (number === undefined) {
      number = this.names.push(name) - 1;
      this.#numbers.set(name, number);
    }
    this.#times[n] = time;
    this.#places[n] = n === 0 ? 0 : Math.max(this.#places[n - 1], time - this.#times[0]);
    this.#cut[n] = n === 0 ? 0 : this.#cut[n - 1] + Math.min(this.#places[n] - this.#places[n - 1], LONGEST_SILENCE);
    this.#events[n] = number;
    this.#lanes[n] = lane;
    this.version = n + 1;
  }

  #reserve(count) {
    if (count <= this.#times.length) return;
    const room = Math.max(count, this.#times.length * 2);
    const larger = (old) => {
      const grown = new old.constructor(room);
      grown.set(old);
      return grown;
    };
    this.#times = larger(this.#times);
    this.#places = larger(this.#places);
    this.#cut = larger(this.#cut);
    this.#events = larger(this.#events);
    this.#lanes = larger(this.#lanes);
  }
}

/** How many of the first `count` places lie before `place`. */
export function countBefore(places, count, place) {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (places[middle] < place) low = middle + 1;
    else high = middle;
  }
  return low;
}
