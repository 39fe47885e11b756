// @ts-check
/**
 * Callboard's client for browsers: a plain module without dependencies.
 *
 *     import { connect } from "/static/callboard.js";
 *
 *     const talk = connect(`/api/ws/conversations/${id}`);
 *     talk.addEventListener("snapshot", ({ detail }) => begin(detail.frame));   // drop what you had, start from this
 *     talk.addEventListener("message", ({ detail }) => show(detail.frame));     // each frame of the log once, in order
 *     await talk.command({ type: "transcript_update", payload: { final_transcript: "Hello" } });
 *
 * It comes back after every loss and resumes with `?since=&epoch=`. What happens is told by events:
 *
 * | event      | detail                                | when |
 * |------------|---------------------------------------|------|
 * | `open`     | –                                     | a connection is made |
 * | `snapshot` | `frame, text, seq, epoch`             | the greeting of a fresh start: whatever was known before is void |
 * | `resumed`  | `frame, text, seq, epoch`             | the greeting of one who came back in time: nothing was missed |
 * | `message`  | `frame, text, seq, place`             | any other frame, once; `place` is `logged` (of the log) or `aside` (an answer to us alone) |
 * | `lost`     | `code, reason, delay`                 | the connection broke; the next attempt is `delay` ms away |
 * | `error`    | `kind, …`                             | `gap`, `malformed`, `token`, `too_large`: dealt with; `unusable` (an impossible address or token): the end |
 * | `closed`   | `code, reason`                        | it is over: `close()` was called, or the server says not to come back |
 *
 * Times are milliseconds throughout, but for `retry_after`, which is the wire's and in seconds.
 *
 * @typedef {Record<string, any>} Frame
 * @typedef {"snapshot" | "resumed" | "logged" | "aside" | "repeat" | "gap"} Place
 * @typedef {(why: {expired: boolean}) => Promise<string> | string} AskToken
 * @typedef {object} Options
 * @property {number} [since] the `seq` to go on from, of an earlier connection (with `epoch`)
 * @property {string} [epoch] the log's epoch that `since` belongs to
 * @property {string | AskToken} [token] a token, or who is asked for one before every connection (`expired`: the last one
 *   was refused as expired). Only the latter comes back from 4401. It travels as a subprotocol, never in the URL
 * @property {Frame | null} [heartbeat] the dialect's frame that asks for a sign of life; null for a dialect without one,
 *   in which case silence is not noticed
 * @property {number} [heartbeatEvery] 25 s
 * @property {number} [silence] 60 s without a frame, a heartbeat among them unanswered: the connection is given up
 * @property {boolean} [contiguous] true for a dialect that shows every version: a missing one is then a gap
 * @property {number} [maxPending] commands that may wait to be acknowledged: 256
 * @property {number} [answerWithin] 60 s on one connection for a command to be acknowledged
 * @property {() => string} [commandId] makes the id of a command that has none
 * @property {number} [backoffBase] 0.5 s
 * @property {number} [backoffCap] 30 s
 * @property {any} [WebSocket] for tests, as are the following
 * @property {() => number} [random] numbers in [0, 1)
 * @property {() => number} [now]
 * @property {typeof globalThis.setTimeout} [setTimeout]
 * @property {typeof globalThis.clearTimeout} [clearTimeout]
 * @property {any} [window] tells `online` and `offline`
 * @property {any} [document] tells `visibilitychange`
 */

// A path alone is taken from the server this module came from, which may be another than the page's.
const HOME = import.meta.url.startsWith("http") ? import.meta.url : globalThis.location?.href;
const SETTLED = 10_000; // a connection has to live that long for the next loss to count as the first
const CONNECTED_WITHIN = 10_000;
const ANSWERED_WITHIN = 10_000; // a heartbeat, before silence is held against the server
const PROBED_WITHIN = 5_000; // the same, when a page comes back to light: its socket may have died unnoticed
const LONGEST_RETRY = 300; // seconds a server may ask us to stay away
const MOST_GAPS = 2; // at one place, until it is given up for a snapshot

const OPEN = 1; // a socket's `readyState`
const DONE = 1000, ABNORMAL = 1006, TOO_LARGE = 1009, EXPIRED = 4401, SILENT = 4009, GAP = 4000;
const ENDINGS = new Set([DONE, 1002, 1003, 1007, 1008, 1010]);

/**
 * Whether a close code says to come back: all do but a normal end, what we are to blame for, and 4500–4999.
 * @param {number} code
 */
export function comesBack(code) {
  return !(ENDINGS.has(code) || (code >= 3000 && code < 4000) || (code >= 4500 && code < 5000));
}

/** Capped exponential waits with full jitter: anything from nothing to the whole of `base` · 2ⁿ. */
export class Backoff {
  #failures = 0;

  /** @param {number} base @param {number} cap @param {() => number} random */
  constructor(base, cap, random) {
    this.base = base;
    this.cap = cap;
    this.random = random;
  }

  next() {
    return this.random() * Math.min(this.cap, this.base * 2 ** Math.min(this.#failures++, 32));
  }

  reset() {
    this.#failures = 0;
  }
}

/** How far we have come in a stream. `adapters/clients/bookmark.py` has the same rules, and says why. */
export class Bookmark {
  #floor;
  #gaps = 0;

  /** @param {number | null} seq @param {string | null} epoch @param {boolean} contiguous */
  constructor(seq, epoch, contiguous) {
    this.seq = seq;
    this.epoch = epoch;
    this.contiguous = contiguous;
    this.#floor = seq ?? -1;
  }

  /** @param {URL} url */
  resume(url) {
    if (this.seq === null || this.epoch === null) return url;
    const resumed = new URL(url);
    resumed.searchParams.set("since", String(this.seq));
    resumed.searchParams.set("epoch", this.epoch);
    return resumed;
  }

  /** What a frame is; it counts as heard from now on. @param {Frame} frame @returns {Place} */
  place(frame) {
    const seq = Number.isSafeInteger(frame.seq) ? frame.seq : null;
    if (frame.recovered === true) return this.#resumed(seq, frame.epoch ?? null);
    if (frame.recovered === false) {
      this.seq = seq ?? 0;
      this.epoch = frame.epoch ?? null;
      this.#floor = this.seq - 1; // the event that made the snapshot may be shown as a frame too
      this.#gaps = 0;
      return "snapshot";
    }
    return seq === null ? "aside" : this.#logged(seq);
  }

  /** @param {number | null} seq @param {string | null} epoch @returns {Place} */
  #resumed(seq, epoch) {
    if (this.seq === null) {
      this.seq = seq;
      this.#floor = seq ?? -1;
    } else if (seq !== null && (seq > this.seq || epoch !== this.epoch)) {
      return this.#gap();
    }
    this.epoch = epoch;
    return "resumed";
  }

  /** @param {number} seq @returns {Place} */
  #logged(seq) {
    if (seq <= this.#floor) return "repeat";
    if (this.contiguous && this.seq !== null && seq > this.seq + 1) return this.#gap();
    this.seq = this.#floor = seq;
    this.#gaps = 0;
    return "logged";
  }

  /** The first time the log is asked again for what is missing; then a snapshot has to do. @returns {Place} */
  #gap() {
    if (++this.#gaps >= MOST_GAPS) {
      this.seq = this.epoch = null;
      this.#floor = -1;
    }
    return "gap";
  }
}

/** An event with its `detail`, also where CustomEvent is not known. */
export class Told extends Event {
  /** @param {string} type @param {any} detail */
  constructor(type, detail) {
    super(type);
    this.detail = detail;
  }
}

/** A command that was not done. `code` is `refused`, `unanswered`, `full`, `closed` or `too_large`; `frame` the refusal. */
export class CommandFailed extends Error {
  /** @param {string} code @param {string} message @param {Frame} [frame] */
  constructor(code, message, frame) {
    super(message);
    this.name = "CommandFailed";
    this.code = code;
    this.frame = frame;
  }
}

/**
 * Connect, and stay connected. @param {string} url may be relative to the page @param {Options} [options]
 */
export function connect(url, options) {
  return new Callboard(url, options);
}

export class Callboard extends EventTarget {
  /** @type {"connecting" | "open" | "waiting" | "closed"} */
  state = "connecting";
  #options;
  #url;
  #bookmark;
  #backoff;
  #attempt = 0; // what belongs to an older one is not heard any more
  #socket = /** @type {any} */ (null);
  #openedAt = /** @type {number | null} */ (null);
  #heardAt = 0;
  #askedAt = /** @type {number | null} */ (null); // the first heartbeat that nothing has come after
  #notBefore = 0;
  #expired = false;
  #offline = false;
  /** @type {Map<string, {text: string, timer: any, resolve: (frame: Frame) => void, reject: (error: Error) => void}>} */
  #pending = new Map();
  /** @type {Record<string, any>} */
  #timers = {};
  /** @type {(() => void)[]} */
  #unwatch = [];

  /** @param {string} url @param {Options} [options] */
  constructor(url, options = {}) {
    super();
    const here = /** @type {any} */ (globalThis);
    this.#options = {
      since: null, epoch: null, token: null, heartbeat: { type: "heartbeat" }, heartbeatEvery: 25_000, silence: 60_000,
      contiguous: false, maxPending: 256, answerWithin: 60_000, commandId: newId, backoffBase: 500, backoffCap: 30_000,
      WebSocket: here.WebSocket, random: Math.random, now: () => Date.now(), window: here.window, document: here.document,
      setTimeout: here.setTimeout.bind(here), clearTimeout: here.clearTimeout.bind(here),
      ...options,
    };
    this.#url = new URL(url, HOME);
    this.#url.protocol = this.#url.protocol.replace("http", "ws");
    this.#bookmark = new Bookmark(this.#options.since, this.#options.epoch, this.#options.contiguous);
    this.#backoff = new Backoff(this.#options.backoffBase, this.#options.backoffCap, this.#options.random);
    this.#watchPage();
    this.#open();
  }

  /** The last `seq` that was delivered. */
  get seq() {
    return this.#bookmark.seq;
  }

  get epoch() {
    return this.#bookmark.epoch;
  }

  /** Commands not yet acknowledged. */
  get pending() {
    return this.#pending.size;
  }

  /**
   * Send a frame, now or never. Whether there was a connection to send it on.
   * @param {Frame} frame
   */
  send(frame) {
    if (this.state !== "open" || this.#socket.readyState !== OPEN) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /**
   * Send a command, and again after every loss until it is acknowledged: the server gives the same id the first outcome.
   *
   * Resolves with the frame that carries its id; rejects with CommandFailed. A dialect may say nothing at all of a
   * command that changes nothing (an illegal transition): that is `unanswered` in the end.
   * @param {Frame} frame its `command_id` is made up where it has none
   * @returns {Promise<Frame>}
   */
  command(frame) {
    const id = frame.command_id ?? this.#options.commandId();
    /** @type {Promise<Frame>} */
    const answer = new Promise((resolve, reject) => {
      if (this.state === "closed") return reject(new CommandFailed("closed", "the connection is over"));
      if (this.#pending.has(id)) return reject(new CommandFailed("refused", `${id} is under way already`));
      if (this.#pending.size >= this.#options.maxPending) {
        return reject(new CommandFailed("full", `${this.#pending.size} commands wait already`));
      }
      const text = JSON.stringify({ ...frame, command_id: id });
      this.#pending.set(id, { text, timer: null, resolve, reject });
      this.#sendPending(id);
    });
    answer.catch(() => {}); // who does not wait for the answer need not hear of it
    return answer;
  }

  /** End it for good. @param {number} [code] @param {string} [reason] */
  close(code = DONE, reason = "") {
    if (this.state === "closed") return;
    const socket = this.#forget();
    this.#end(code, reason);
    socket?.close(code, reason);
  }

  // --- a connection, from its opening to its loss ---

  async #open() {
    const attempt = ++this.#attempt;
    this.#stop("retry");
    this.state = "connecting";
    const { token, WebSocket } = this.#options;
    let given, socket;
    const connecting = () => this.#start("connect", CONNECTED_WITHIN, () => this.#drop(SILENT, "no connection in time"));
    connecting(); // whoever makes tokens may never answer
    try {
      given = await (typeof token === "function" ? token({ expired: this.#expired }) : token);
    } catch (cause) {
      if (attempt !== this.#attempt) return;
      this.#stop("connect");
      this.#tell("error", { kind: "token", cause });
      return this.#wait(ABNORMAL, "no token");
    }
    if (attempt !== this.#attempt) return; // closed meanwhile
    try {
      socket = new WebSocket(this.#bookmark.resume(this.#url).href, given ? ["bearer", given] : []);
    } catch (cause) {
      this.#tell("error", { kind: "unusable", cause });
      return this.#end(ABNORMAL, "no such address, or no such token, can be"); // nor will there be
    }
    this.#socket = socket;
    /** @param {string} type @param {(event: any) => void} does */
    const on = (type, does) =>
      socket.addEventListener(type, (/** @type {any} */ event) => socket === this.#socket && does(event));
    on("open", () => this.#opened());
    on("message", (event) => this.#receive(event.data));
    on("close", (event) => this.#lost(event.code, event.reason));
    connecting();
  }

  #opened() {
    this.#stop("connect");
    this.state = "open";
    this.#expired = false;
    this.#openedAt = this.#heardAt = this.#options.now();
    this.#askedAt = null;
    this.#startPulse(this.#options.heartbeatEvery);
    this.#tell("open", {});
    for (const id of this.#pending.keys()) this.#sendPending(id);
  }

  /** @param {any} text */
  #receive(text) {
    this.#heardAt = this.#options.now();
    this.#askedAt = null;
    this.#stop("probe");
    const frame = parse(text);
    if (frame === null) return this.#tell("error", { kind: "malformed", text });
    const after = this.#bookmark.seq;
    const place = this.#bookmark.place(frame);
    if (place === "gap") {
      this.#tell("error", { kind: "gap", after, seq: frame.seq });
      return this.#drop(GAP, "a gap in what was sent");
    }
    if (place === "snapshot" || place === "resumed") {
      this.#tell(place, { frame, text, seq: this.seq, epoch: this.epoch });
    } else if (place !== "repeat" && frame.repeated !== true) {
      // What `repeated` answers show has been shown, or will be, where the log has it.
      this.#tell("message", { frame, text, seq: this.seq, place });
    }
    this.#heed(frame, place);
  }

  /** Give up a connection that is of no use any more, whatever state its socket is in. @param {number} code @param {string} reason */
  #drop(code, reason) {
    const socket = this.#forget();
    if (this.state === "closed") return;
    socket?.close(code, reason);
    this.#lost(ABNORMAL, reason);
  }

  /** Hear nothing more of the current socket. */
  #forget() {
    const socket = this.#socket;
    this.#socket = null;
    this.#attempt++;
    return socket;
  }

  /** @param {number} code @param {string} reason */
  #lost(code, reason) {
    this.#forget();
    const { now, token } = this.#options;
    if (this.#openedAt !== null && now() - this.#openedAt >= SETTLED) this.#backoff.reset();
    this.#openedAt = null;
    this.#expired = code === EXPIRED;
    if (!comesBack(code) || (this.#expired && typeof token !== "function")) return this.#end(code, reason);
    if (code === TOO_LARGE) this.#giveUpLargest();
    this.#wait(code, reason);
  }

  /** @param {number} code @param {string} reason */
  #wait(code, reason) {
    for (const command of this.#pending.values()) this.#options.clearTimeout(command.timer);
    this.#stopAll();
    this.state = "waiting";
    const asked = Math.max(0, this.#notBefore - this.#options.now());
    // Browsers call a machine offline that still reaches itself: no reason to give up, but none to hurry.
    const delay = Math.max(asked + this.#backoff.next(), this.#offline ? this.#options.backoffCap : 0);
    this.#start("retry", delay, () => this.#open());
    this.#tell("lost", { code, reason, delay });
  }

  /** @param {number} code @param {string} reason */
  #end(code, reason) {
    this.state = "closed";
    this.#stopAll();
    for (const unwatch of this.#unwatch) unwatch();
    for (const id of [...this.#pending.keys()]) this.#fail(id, "closed", `closed with ${code} ${reason}`.trim());
    this.#tell("closed", { code, reason });
  }

  // --- commands ---

  /** @param {string} id */
  #sendPending(id) {
    const command = this.#pending.get(id);
    if (command === undefined || this.state !== "open") return;
    this.#options.clearTimeout(command.timer);
    this.#socket.send(command.text);
    const unanswered = () => this.#fail(id, "unanswered", "nothing came of it");
    command.timer = this.#options.setTimeout(unanswered, this.#options.answerWithin);
  }

  /** Commands and waits that a frame settles. @param {Frame} frame @param {Place} place */
  #heed(frame, place) {
    const id = frame.command_id;
    const isError = frame.type === "error" && place === "aside";
    const after = isError ? retryAfter(frame) : null;
    if (after !== null) return this.#again(after, id);
    const command = typeof id === "string" ? this.#pending.get(id) : undefined;
    if (command === undefined) return;
    if (isError) return this.#fail(id, "refused", frame.payload?.message ?? frame.message ?? "refused", frame);
    this.#options.clearTimeout(command.timer);
    this.#pending.delete(id);
    command.resolve(frame);
  }

  /**
   * An error frame says when to come back. Without an id it does not say which command was not taken, so all that
   * have no answer are sent again: what was taken is not done twice. @param {number} seconds @param {any} id
   */
  #again(seconds, id) {
    const wait = seconds * 1000;
    this.#notBefore = this.#options.now() + wait;
    for (const [known, command] of this.#pending) {
      if (typeof id === "string" && known !== id) continue;
      this.#options.clearTimeout(command.timer);
      const delay = wait + this.#options.random() * this.#options.backoffBase;
      command.timer = this.#options.setTimeout(() => this.#sendPending(known), delay);
    }
  }

  /** @param {string} id @param {string} code @param {string} message @param {Frame} [frame] */
  #fail(id, code, message, frame) {
    const command = this.#pending.get(id);
    if (command === undefined) return;
    this.#options.clearTimeout(command.timer);
    this.#pending.delete(id);
    command.reject(new CommandFailed(code, message, frame));
  }

  /** A frame was over the server's limit. Sent again it would end every connection that is to come. */
  #giveUpLargest() {
    const [largest] = [...this.#pending].sort(([, one], [, other]) => other.text.length - one.text.length);
    if (largest === undefined) return;
    const [id] = largest;
    this.#tell("error", { kind: "too_large", command_id: id });
    this.#fail(id, "too_large", "over the server's limit");
  }

  // --- signs of life ---

  /** @param {number} delay */
  #startPulse(delay) {
    if (this.#options.heartbeat !== null) this.#start("pulse", delay, () => this.#beat());
  }

  #beat() {
    const { now, silence, heartbeat, heartbeatEvery } = this.#options;
    const time = now();
    const silentAt = this.#heardAt + silence;
    // In a hidden page timers come late: silence counts only when a heartbeat had its time to be answered.
    if (this.#askedAt !== null && time >= Math.max(silentAt, this.#askedAt + ANSWERED_WITHIN)) {
      return this.#drop(SILENT, "silent too long");
    }
    this.send(/** @type {Frame} */ (heartbeat));
    this.#askedAt ??= time;
    this.#startPulse(Math.min(heartbeatEvery, Math.max(silentAt, this.#askedAt + ANSWERED_WITHIN) - time));
  }

  #watchPage() {
    const { window, document } = this.#options;
    this.#offline = window?.navigator?.onLine === false;
    this.#watch(window, "offline", () => (this.#offline = true));
    this.#watch(window, "online", () => this.#online());
    this.#watch(document, "visibilitychange", () => document.visibilityState === "visible" && this.#seen());
  }

  /** @param {any} target @param {string} type @param {() => void} does */
  #watch(target, type, does) {
    if (!target?.addEventListener) return;
    target.addEventListener(type, does);
    this.#unwatch.push(() => target.removeEventListener(type, does));
  }

  /** The network is back, for many clients at the same moment: soon, but not all at once. */
  #online() {
    this.#offline = false;
    this.#backoff.reset();
    if (this.state === "open") return this.#probe();
    if (this.state === "waiting") this.#hurry(this.#backoff.next());
  }

  /** Somebody looks at the page again: its socket may have died while the machine slept. */
  #seen() {
    if (this.state === "open") this.#probe();
    if (this.state === "waiting") this.#hurry(0);
  }

  /** @param {number} delay */
  #hurry(delay) {
    this.#start("retry", Math.max(delay, this.#notBefore - this.#options.now()), () => this.#open());
  }

  #probe() {
    if (this.#options.heartbeat === null) return;
    this.send(this.#options.heartbeat);
    this.#askedAt ??= this.#options.now();
    this.#start("probe", PROBED_WITHIN, () => this.#drop(SILENT, "no sign of life"));
  }

  // --- events and timers ---

  /** @param {string} type @param {any} detail */
  #tell(type, detail) {
    this.dispatchEvent(new Told(type, detail));
  }

  /** @param {string} name @param {number} delay @param {() => void} does */
  #start(name, delay, does) {
    this.#stop(name);
    this.#timers[name] = this.#options.setTimeout(does, delay);
  }

  /** @param {string} name */
  #stop(name) {
    this.#options.clearTimeout(this.#timers[name]);
    delete this.#timers[name];
  }

  #stopAll() {
    for (const name of Object.keys(this.#timers)) this.#stop(name);
  }
}

/** The JSON object in a frame, null when there is none. @param {any} text @returns {Frame | null} */
function parse(text) {
  try {
    const frame = typeof text === "string" ? JSON.parse(text) : null;
    return typeof frame === "object" && !Array.isArray(frame) ? frame : null;
  } catch {
    return null;
  }
}

/** When an error frame says to come back, in seconds. @param {Frame} frame */
function retryAfter(frame) {
  const wanted = frame.payload?.retry_after ?? frame.retry_after;
  return typeof wanted === "number" && wanted >= 0 ? Math.min(wanted, LONGEST_RETRY) : null;
}

/** An id nobody else makes; `randomUUID` is there on secure pages alone. */
function newId() {
  const crypto = globalThis.crypto;
  if (crypto.randomUUID) return crypto.randomUUID();
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
