// What the page knows of one stream: its outline, the records looked at, states; kept up with the log. No DOM.

import { MOST_EVENTS, Outline } from "./outline.js";
import { Records } from "./records.js";
import { States } from "./states.js";

const MOST_HELD = 5000;
const PAGE = 200;
/** Milliseconds between pages for who slides through the stream: the states come first. */
const PAUSE = 100;
/** Milliseconds after an outline that could not be read. */
const RETRY = 2000;

/** `socket` and `get` are those of server.js; `changed` is called after each change, as often as it may be, and `folded`
 * when a state came that was wished for. */
export class StreamModel {
  /** "loading", "ready", "missing" (no such stream) or "failed" (`failure` says why; it tries again). */
  status = "loading";
  failure = null;
  outline = new Outline();
  #held = new Map();
  #heard = 0;
  #position = 0;
  #epoch;
  #generation = 0;
  #isFilling = false;
  #offs = [];

  constructor(stream, { socket, get, changed = () => {}, folded = changed, setTimeout = later, most = MOST_EVENTS }) {
    this.stream = stream;
    this.socket = socket;
    this.get = get;
    this.changed = changed;
    this.setTimeout = setTimeout;
    this.most = most;
    const page = (after, until) => socket.ask({ type: "page", stream, after, until: Math.min(until, this.version) });
    const state = async (at) => (await socket.ask({ type: "state", stream, at })).state;
    this.records = new Records(page, { changed: () => this.changed(), pause: PAUSE, setTimeout });
    this.states = new States(state, { changed: folded });
  }

  /** Whether it knows as much of the stream as it may: what was recorded behind that is not shown here. */
  get isFull() {
    return this.version >= this.most;
  }

  /** The version of the last event known. */
  get version() {
    return this.outline.version;
  }

  open() {
    this.#offs = [
      this.socket.on("record", (record) => record.stream === this.stream && this.#take(record)),
      this.socket.whenOpen((hello) => this.#greeted(hello)),
    ];
  }

  close() {
    this.#generation += 1;
    for (const off of this.#offs) off();
    this.socket.tell({ type: "unwatch", stream: this.stream });
  }

  /** Try again what failed. */
  again() {
    this.#start();
  }

  #greeted({ epoch, isAnew }) {
    if (isAnew || (this.#epoch !== undefined && epoch !== this.#epoch)) this.#forget();
    this.#epoch = epoch;
    this.#start();
  }

  /** Another epoch is another log, and streams may have been told anew: nothing that is known holds. */
  #forget() {
    this.status = "loading";
    this.outline = new Outline();
    this.#held.clear();
    this.#heard = 0;
    this.#position = 0;
    this.records.clear();
    this.states.clear();
  }

  async #start() {
    const generation = (this.#generation += 1);
    this.#isFilling = false;
    try {
      await (this.status === "ready" ? this.#resume(generation) : this.#load(generation));
    } catch (reason) {
      if (generation !== this.#generation) return;
      this.failure = reason;
      if (this.status !== "ready") this.status = reason.status === 404 ? "missing" : "failed";
      if (mayPass(reason)) this.setTimeout(() => this.#startAgain(generation), RETRY);
      this.#merge();
    }
    this.changed();
  }

  #startAgain(generation) {
    if (generation === this.#generation && this.socket.status === "open") this.#start();
  }

  /** It listens first and reads then: what is recorded in between is heard, and merged by its version. */
  async #load(generation) {
    const { position } = await this.socket.ask({ type: "watch", stream: this.stream });
    const answer = await this.get(`/api/audit/streams/${encodeURIComponent(this.stream)}/outline`);
    if (generation !== this.#generation) return;
    this.#position = Math.max(this.#position, position);
    this.outline = Outline.from(answer);
    this.status = this.version === 0 && this.#held.size === 0 ? "missing" : "ready";
    this.failure = null;
    this.#merge();
    this.records.again();
    this.states.again();
  }

  /** The server tells what came behind the last position known, and goes on from there. */
  async #resume(generation) {
    const asked = this.socket.ask({ type: "watch", stream: this.stream, after: this.#position });
    const isTooFar = await asked.then(() => false, refusedAsTooFar);
    if (generation !== this.#generation) return;
    if (isTooFar) {
      this.status = "loading"; // what is heard from now on is held for the outline that comes
      return this.#load(generation);
    }
    this.failure = null;
    this.records.again();
    this.states.again();
    return this.#merge();
  }

  #take(record) {
    this.#position = Math.max(this.#position, record.position);
    this.#heard = Math.max(this.#heard, Math.min(record.version, this.most));
    if (record.version <= this.version) {
      this.records.put(record);
    } else if (record.version <= this.most) {
      // Where too many are held the rest is asked for later; the next one is always taken.
      if (this.#held.size < MOST_HELD || record.version === this.version + 1) this.#held.set(record.version, record);
      this.#merge();
    }
    this.changed();
  }

  /** What is held and comes next is appended; what is missing before the rest is asked for. */
  #merge() {
    if (this.status === "loading" || this.status === "failed") return;
    for (const version of this.#held.keys()) if (version <= this.version) this.#put(version);
    while (this.#held.has(this.version + 1)) {
      this.outline.append(this.#held.get(this.version + 1));
      this.#put(this.version);
    }
    if (this.version > 0) this.status = "ready";
    if (this.#heard > this.version) this.#fill();
  }

  #put(version) {
    this.records.put(this.#held.get(version));
    this.#held.delete(version);
  }

  async #fill() {
    if (this.#isFilling) return;
    this.#isFilling = true;
    const generation = this.#generation;
    const after = this.version;
    const until = Math.min(after + PAGE, this.#heard, firstOf(this.#held) - 1);
    const asked = this.socket.ask({ type: "page", stream: this.stream, after, until });
    const failed = await asked.then(() => false, () => true);
    if (generation !== this.#generation) return;
    this.#isFilling = false;
    const merge = () => generation === this.#generation && this.#merge();
    if (failed || this.version === after) this.setTimeout(merge, RETRY);
    else merge();
  }
}

/** The lowest of the versions; more are held than a call may have arguments. */
function firstOf(held) {
  let first = Infinity;
  for (const version of held.keys()) first = Math.min(first, version);
  return first;
}

const later = (does, delay) => setTimeout(does, delay); // a browser's own wants to be called by itself

/** Whether the same question may be answered later: it was not the question that was refused. */
function mayPass({ status, code }) {
  if (code !== undefined) return code === "busy" || code === "rate_limited";
  return status === undefined || status === 0 || status === 429 || status >= 500;
}

/** Whether more was missed than the server tells in one go: then the outline says it all. Throws any other refusal. */
function refusedAsTooFar(reason) {
  if (reason.code !== "too_far_behind") throw reason;
  return true;
}
