// One WebSocket in the dialect `console`, which comes back by itself.

const TIMEOUT = 15_000;
const FIRST_DELAY = 500;
const LONGEST_DELAY = 30_000;
/** After so long without a word we ask whether anybody is there. */
const SILENCE = 30_000;
const SIGN_IN = 4401;
/** The server begins anew, or a stream we hear was told anew: what we have of it may not be so any more. */
const RESTART = 1012;
/** What takes back what. */
const CONTRARY = { watch: "unwatch", unwatch: "watch", board: "unboard", unboard: "board" };
/** Answered and not recorded: nobody watches a stream of that name. */
const PROBE = { type: "unwatch", stream: "session-nobody" };

/** Whether there is no point in coming back after this close code: who one is, or what one says, was refused. */
const isFinal = (code) => code === 1008 || code === SIGN_IN || (code >= 4500 && code <= 4999);

/**
 * The connection of all views. `status` is "connecting", "open" (after the server's hello), "lost" (comes back at
 * `retryAt`, ms of Date.now) or "refused" (stays away; `reason` says why).
 */
export class Socket {
  #where;
  #socket = null;
  #asked = new Map();
  #heard = new Map();
  #watchers = new Set();
  #attempts = 0;
  #last = 0;
  #timer = null;
  #repeating = null;
  #silence = null;
  #frames = 0;
  #isAnew = false;

  status = "connecting";
  reason = "";
  retryAt = null;
  /** The server's hello, null before the first; `isAnew` when what was known of streams before may not hold any more.
   * @type {?{epoch: string, principal: string, roles: string[], isAnew: boolean}} */
  hello = null;

  /** `url()` and `token()` are asked at each attempt; `failure(text)` makes the errors asks are rejected with. */
  constructor(where) {
    this.#where = where;
  }

  /** Connect now (again), also when refused or waiting. */
  connect() {
    this.close();
    this.#set("connecting");
    const token = this.#where.token();
    const socket = new WebSocket(this.#where.url(), token ? ["bearer", token] : []);
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#socket === socket && this.#take(JSON.parse(data));
    socket.onclose = ({ code, reason }) => this.#socket === socket && this.#lose(code, reason);
    this.#listen();
  }

  /** Go away and stay away until `connect`. */
  close() {
    clearTimeout(this.#timer);
    this.#drop();
    this.#abandon("The connection was closed");
  }

  /**
   * Send a message; resolves to the last frame of its answer, and gives `onRecord` the records of a page before that.
   * Rejects when the server says no, is silent for 15 s, or the connection is not open or gets lost (see `whenOpen`), or
   * when the contrary is asked before the answer came.
   */
  ask(message, onRecord = null) {
    if (!this.#takes) return Promise.reject(this.#where.failure("Not connected to the server"));
    this.#withdraw(message);
    const id = `c${++this.#last}`;
    return new Promise((resolve, reject) => {
      const asked = { message, onRecord, resolve, reject, timer: null, isBegun: false };
      this.#asked.set(id, asked);
      this.#prolong(id, asked);
      this.#socket.send(JSON.stringify({ ...message, id }));
    });
  }

  /** Ask what nobody waits for the answer of (unboard, unwatch); nothing where the connection is not open. */
  tell(message) {
    this.ask(message).catch(() => {});
  }

  /** Hear every frame of a type. Answers the function that stops hearing. */
  on(type, listener) {
    const listeners = this.#heard.get(type) ?? new Set();
    this.#heard.set(type, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /** Call now if the connection is open, and each time it is open again: the place to watch. Answers as `on`. */
  whenOpen(listener) {
    if (this.status === "open") listener(this.hello);
    return this.on("hello", listener);
  }

  /** Hear each change of `status`. Answers as `on`. */
  onStatus(listener) {
    this.#watchers.add(listener);
    return () => this.#watchers.delete(listener);
  }

  /** Whether something sent now may arrive: a connection that closes is open until we hear of it. */
  get #takes() {
    return this.status === "open" && !(this.#socket.readyState > WebSocket.OPEN);
  }

  #take(frame) {
    this.#frames += 1;
    this.#listen();
    if (frame.type === "error" && frame.id == null && frame.retry_after != null) this.#repeat(frame.retry_after * 1000);
    if (frame.type === "hello") {
      this.#attempts = 0;
      frame.isAnew = this.#isAnew;
      this.#isAnew = false;
      this.hello = frame;
      this.#set("open");
    }
    if (frame.type === "record") this.#page(frame);
    else if (frame.id != null) this.#answer(frame);
    for (const listener of [...(this.#heard.get(frame.type) ?? [])]) listener(frame);
  }

  /** A record of a page under way: those carry no id, so its stream and version say whose it is. */
  #page(record) {
    for (const [id, asked] of this.#asked) {
      const { type, stream, after, until } = asked.message;
      if (type !== "page" || stream !== record.stream || record.version <= after || record.version > until) continue;
      this.#prolong(id, asked);
      asked.onRecord?.(record);
    }
  }

  #answer(frame) {
    const asked = this.#asked.get(frame.id);
    if (!asked) return undefined;
    if (frame.type === "page") return (asked.isBegun = true); // its records and its end follow
    this.#forget(frame.id, asked);
    if (frame.type !== "error") return asked.resolve(frame);
    return asked.reject(Object.assign(this.#where.failure(frame.message), { code: frame.code }));
  }

  /** We said too much at once, and are not told what was left unheard: say again what nothing was answered to. All asks may be repeated. */
  #repeat(delay) {
    const socket = this.#socket;
    clearTimeout(this.#repeating);
    this.#repeating = setTimeout(() => {
      if (this.#socket !== socket || this.status !== "open") return;
      for (const [id, { message, isBegun }] of this.#asked) if (!isBegun) socket.send(JSON.stringify({ ...message, id }));
    }, delay);
  }

  #prolong(id, asked) {
    clearTimeout(asked.timer);
    const frames = this.#frames;
    asked.timer = setTimeout(() => {
      this.#forget(id, asked);
      asked.reject(this.#where.failure("The server did not answer within 15 s"));
      if (frames === this.#frames && this.status === "open") this.#lose(null, "The server was silent");
    }, TIMEOUT);
  }

  /** Who asks for the contrary takes back what was not answered yet: said again, it would be what holds in the end. */
  #withdraw({ type, stream }) {
    for (const [id, asked] of this.#asked) {
      if (CONTRARY[type] !== asked.message.type || asked.message.stream !== stream) continue;
      this.#forget(id, asked);
      asked.reject(this.#where.failure("That is not wanted any more"));
    }
  }

  #forget(id, asked) {
    this.#asked.delete(id);
    clearTimeout(asked.timer);
  }

  /** From now on silence is measured. A connection that died without a word is open for all a browser knows. */
  #listen() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      if (this.status === "open") this.tell(PROBE);
      else this.#lose(null, "The server did not greet");
    }, SILENCE);
  }

  #drop() {
    clearTimeout(this.#silence);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #lose(code, reason) {
    this.#drop();
    this.#isAnew ||= code === RESTART;
    this.reason = reason || (isFinal(code) ? `The server closed with ${code}` : "");
    this.#abandon("The connection was lost");
    if (isFinal(code)) return this.#set("refused");
    // Half of it is chance, so that all pages do not come back to a restarted server at the same moment.
    const delay = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** this.#attempts++) * (0.5 + Math.random() / 2);
    this.retryAt = Date.now() + delay;
    this.#timer = setTimeout(() => this.connect(), delay);
    return this.#set("lost");
  }

  #abandon(why) {
    const asked = [...this.#asked.values()];
    this.#asked.clear();
    for (const { timer, reject } of asked) {
      clearTimeout(timer);
      reject(this.#where.failure(why));
    }
  }

  #set(status) {
    if (status !== "lost") this.retryAt = null;
    this.status = status;
    for (const watcher of [...this.#watchers]) watcher(status);
  }
}
