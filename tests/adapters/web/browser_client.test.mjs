// The browser's client against a scripted socket, on a clock of the test's own. Run by test_browser_client.py.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

// As a data: URL it is a module whatever this Node makes of a `.js` without a package.json.
const source = readFileSync(new URL("../../../adapters/web/static/callboard.js", import.meta.url));
const { Backoff, Bookmark, CommandFailed, comesBack, connect } = await import(
  `data:text/javascript;base64,${source.toString("base64")}`
);

const PLACE = "ws://callboard.test/api/ws/conversations/c";

/** Timers that run when the test says so; between any two of them all promises settle. */
class Clock {
  now = 0;
  #next = 1;
  #due = new Map();

  setTimeout = (does, delay = 0) => {
    this.#due.set(this.#next, { at: this.now + delay, does });
    return this.#next++;
  };

  clearTimeout = (id) => void this.#due.delete(id);

  get waiting() {
    return [...this.#due.values()].map(({ at }) => at - this.now).sort((a, b) => a - b);
  }

  async pass(milliseconds) {
    const until = this.now + milliseconds;
    await settled();
    for (;;) {
      const [first] = [...this.#due].filter(([, { at }]) => at <= until).sort(([, a], [, b]) => a.at - b.at);
      if (first === undefined) break;
      this.#due.delete(first[0]);
      this.now = Math.max(this.now, first[1].at);
      first[1].does();
      await settled();
    }
    this.now = until;
  }
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A page, and the server behind its sockets. */
class Stage {
  clock = new Clock();
  sockets = [];
  told = [];
  window = Object.assign(new EventTarget(), { navigator: { onLine: true } });
  document = Object.assign(new EventTarget(), { visibilityState: "visible" });

  constructor(options = {}) {
    const stage = this;
    class FakeSocket extends EventTarget {
      sent = [];
      readyState = 0;

      constructor(url, protocols) {
        super();
        if (protocols.some((protocol) => protocol.includes(" "))) throw new SyntaxError("no such subprotocol");
        Object.assign(this, { url, protocols });
        stage.sockets.push(this);
      }

      send(text) {
        this.sent.push(JSON.parse(text));
      }

      close(code, reason) {
        this.closed = { code, reason };
      }
    }
    const ids = ["one", "two", "three", "four"];
    this.talk = connect(PLACE, {
      WebSocket: FakeSocket, random: () => 1, now: () => this.clock.now, setTimeout: this.clock.setTimeout,
      clearTimeout: this.clock.clearTimeout, window: this.window, document: this.document, commandId: () => ids.shift(),
      ...options,
    });
    for (const type of ["open", "snapshot", "resumed", "message", "lost", "error", "closed"]) {
      this.talk.addEventListener(type, ({ detail }) => this.told.push({ type, ...detail }));
    }
  }

  get socket() {
    return this.sockets.at(-1);
  }

  of(type) {
    return this.told.filter((told) => told.type === type);
  }

  get query() {
    return Object.fromEntries(new URL(this.socket.url).searchParams);
  }

  async open() {
    await settled();
    this.socket.readyState = 1;
    this.socket.dispatchEvent(new Event("open"));
    await settled();
  }

  async say(...frames) {
    for (const frame of frames) this.raw(JSON.stringify(frame));
    await settled();
  }

  raw(text, socket = this.socket) {
    socket.dispatchEvent(Object.assign(new Event("message"), { data: text }));
  }

  async lose(code = 1006, reason = "") {
    await settled();
    this.socket.readyState = 3;
    this.socket.dispatchEvent(Object.assign(new Event("close"), { code, reason }));
    await settled();
  }

  /** Opened and greeted. */
  async begin(seq = 0) {
    await this.open();
    await this.say(greeting(seq));
    return this;
  }
}

const greeting = (seq, recovered = false, epoch = "e1") => ({ type: "state_update", seq, epoch, recovered });
const frame = (seq, more = {}) => ({ type: "said", seq, ...more });
const busy = (seconds, more = {}) => ({ type: "error", payload: { error_type: "busy", retry_after: seconds }, ...more });
const begun = (seq, options) => new Stage(options).begin(seq);

test("each frame is told once and in order through a loss", async () => {
  const stage = await begun(3);
  await stage.say(frame(3), frame(4), frame(4), frame(6));
  await stage.lose(1012);
  assert.equal(stage.talk.state, "waiting");
  await stage.clock.pass(500);
  assert.deepEqual(stage.query, { since: "6", epoch: "e1" });
  await stage.open();
  await stage.say(greeting(6, true), frame(5), frame(6), frame(7));
  assert.deepEqual(stage.of("message").map(({ seq }) => seq), [3, 4, 6, 7]);
  assert.equal(stage.of("snapshot").length, 1);
  assert.equal(stage.of("resumed").length, 1);
});

test("an earlier place is gone on from", async () => {
  const stage = new Stage({ since: 12, epoch: "e1" });
  await settled();
  assert.deepEqual(stage.query, { since: "12", epoch: "e1" });
});

test("a log of another epoch is a snapshot to start from", async () => {
  const stage = new Stage({ since: 9, epoch: "e1" });
  await stage.open();
  await stage.say(greeting(2, false, "e2"), frame(3));
  assert.deepEqual(stage.told.map(({ type, seq }) => [type, seq]), [["open", undefined], ["snapshot", 2], ["message", 3]]);
  assert.equal(stage.talk.epoch, "e2");
});

test("a gap is told, and what is missing is asked for; then a snapshot", async () => {
  const stage = await begun(4, { contiguous: true });
  await stage.say(frame(5), frame(7), frame(8));
  assert.deepEqual(stage.of("error"), [{ type: "error", kind: "gap", after: 5, seq: 7 }]);
  assert.deepEqual(stage.of("message").map(({ seq }) => seq), [5]);
  await stage.clock.pass(500);
  assert.equal(stage.query.since, "5");
  await stage.open();
  await stage.say(greeting(5, true), frame(7));
  assert.equal(stage.of("error").length, 2);
  await stage.clock.pass(1000);
  assert.deepEqual(stage.query, {});
});

test("a resume that begins elsewhere is a gap in every dialect", async () => {
  const stage = await begun(4);
  await stage.lose();
  await stage.clock.pass(500);
  await stage.open();
  await stage.say(greeting(6, true));
  assert.deepEqual(stage.of("error"), [{ type: "error", kind: "gap", after: 4, seq: 6 }]);
});

test("whatever is dropped or repeated, the log is told once in order or a snapshot is announced", async () => {
  for (let seed = 1; seed <= 200; seed++) {
    const draw = numbers(seed);
    assert.deepEqual(await assembled(draw), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], `seed ${seed}`);
  }
});

/** What an app puts together of a log of ten, from a server that fails at random and in the end does not. */
async function assembled(draw) {
  const stage = new Stage({ contiguous: true });
  let state = [];
  let made = -1;
  stage.talk.addEventListener("snapshot", ({ detail }) => {
    made = detail.seq;
    state = upTo(detail.seq);
  });
  stage.talk.addEventListener("message", ({ detail }) => {
    if (detail.place !== "logged") return;
    if (detail.seq !== made || state.length !== made) state.push(detail.seq);
    made = -1;
  });
  for (let visit = 0; visit < 20 && stage.talk.state !== "closed"; visit++) {
    await stage.open();
    await visitOf(stage, visit > 5 ? () => 0 : draw);
    await stage.lose(visit > 5 && state.length === 10 ? 1000 : 1012);
    await stage.clock.pass(30_000);
  }
  return state;
}

async function visitOf(stage, draw) {
  const { since } = stage.query;
  const forgets = since === undefined || draw() > 0.8;
  let place = forgets ? 4 : Number(since);
  await stage.say(greeting(place, !forgets));
  for (let step = 0; step < 12 && place < 10; step++) {
    const chance = draw();
    if (chance > 0.9) return;
    if (chance > 0.8) await stage.say(frame(Math.max(1, place - 1)));
    else if (chance > 0.7) place += 1;
    else await stage.say(frame(++place));
  }
}

const upTo = (count) => Array.from({ length: count }, (_, index) => index + 1);

/** Pseudo-random numbers in [0, 1), the same for the same seed (a linear congruence). */
function numbers(seed) {
  let state = seed;
  return () => (state = (state * 48271) % 2147483647) / 2147483647;
}

test("waits double up to half a minute, and any part of them may be drawn", () => {
  const whole = new Backoff(500, 30_000, () => 1);
  assert.deepEqual(upTo(8).map(() => whole.next()), [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  whole.reset();
  assert.equal(whole.next(), 500);
  assert.equal(new Backoff(500, 30_000, () => 0).next(), 0);
});

test("a connection that lived makes the next wait short again", async () => {
  const stage = await begun();
  await stage.lose();
  await stage.clock.pass(500);
  await stage.begin();
  await stage.clock.pass(9_000);
  await stage.lose();
  await stage.clock.pass(1000);
  await stage.begin();
  await stage.clock.pass(10_000);
  await stage.lose();
  assert.deepEqual(stage.of("lost").map(({ delay }) => delay), [500, 1000, 500]);
});

test("close codes say whether to come back", () => {
  assert.deepEqual([1001, 1005, 1006, 1009, 1011, 1012, 1013, 4000, 4008, 4009, 4401, 4499].filter(comesBack).length, 12);
  assert.deepEqual([1000, 1002, 1003, 1007, 1008, 1010, 3000, 4500, 4999].filter(comesBack), []);
});

test("a final close code ends it, and leaves no timer", async () => {
  const stage = await begun();
  const answer = stage.talk.command({ type: "speech_event" });
  await stage.lose(1008, "Conversation not found");
  assert.deepEqual(stage.of("closed"), [{ type: "closed", code: 1008, reason: "Conversation not found" }]);
  await assert.rejects(answer, { name: "CommandFailed", code: "closed" });
  assert.deepEqual(stage.clock.waiting, []);
  await assert.rejects(stage.talk.command({}), { code: "closed" });
});

test("a token travels as a subprotocol and never in the address", async () => {
  const stage = await begun(0, { token: "a.b.c" });
  assert.deepEqual(stage.socket.protocols, ["bearer", "a.b.c"]);
  assert.ok(!stage.socket.url.includes("a.b.c"));
});

test("an expired token is replaced by a fresh one", async () => {
  const asked = [];
  const token = async (why) => `t${asked.push(why)}`;
  const stage = await begun(0, { token });
  await stage.lose(4401);
  await stage.clock.pass(500);
  assert.deepEqual(asked, [{ expired: false }, { expired: true }]);
  assert.deepEqual(stage.socket.protocols, ["bearer", "t2"]);
});

test("an expired token that cannot be replaced is the end", async () => {
  const stage = await begun(0, { token: "static" });
  await stage.lose(4401, "token expired");
  assert.equal(stage.talk.state, "closed");
});

test("who cannot give a token now is asked again", async () => {
  let asked = 0;
  const stage = new Stage({ token: async () => (asked++ ? "t" : Promise.reject(new Error("logged out"))) });
  await settled();
  assert.equal(stage.of("error")[0].kind, "token");
  await stage.clock.pass(500);
  assert.deepEqual(stage.socket.protocols, ["bearer", "t"]);
});

test("closing while a token is asked for makes no connection any more", async () => {
  const stage = new Stage({ token: () => "t" });
  stage.talk.close();
  await settled();
  assert.equal(stage.sockets.length, 0);
});

test("what can never be connected is told instead of tried for ever", async () => {
  const stage = new Stage({ token: "no token" });
  await settled();
  assert.deepEqual(stage.told.map(({ type, kind }) => kind ?? type), ["unusable", "closed"]);
});

test("a server that says when to come back is heeded", async () => {
  const stage = await begun();
  await stage.say(busy(7));
  await stage.lose(1013);
  assert.equal(stage.of("lost")[0].delay, 7500);
});

test("a command is sent again after a loss until it is acknowledged", async () => {
  const stage = await begun(4);
  const answer = stage.talk.command({ type: "speech_event", payload: {} });
  const other = stage.talk.command({ type: "speech_event", command_id: "mine" });
  await stage.say(frame(5, { command_id: "mine" }));
  assert.equal((await other).seq, 5);
  await stage.lose();
  await stage.clock.pass(500);
  await stage.open();
  assert.deepEqual(stage.socket.sent, [{ type: "speech_event", payload: {}, command_id: "one" }]);
  await stage.say(greeting(5, true), frame(6), { type: "speech_event", command_id: "one", repeated: true });
  assert.equal((await answer).repeated, true);
  assert.deepEqual(stage.of("message").map(({ seq }) => seq), [5, 6], "the repeated answer is no message");
  assert.equal(stage.talk.pending, 0);
});

test("a command given before there is a connection waits for one", async () => {
  const stage = new Stage();
  stage.talk.command({ type: "speech_event" });
  assert.equal(stage.talk.send({ type: "heartbeat" }), false);
  await stage.open();
  assert.deepEqual(stage.socket.sent.map(({ command_id }) => command_id), ["one"]);
});

test("nothing is sent into a socket that is closing", async () => {
  const stage = await begun();
  stage.socket.readyState = 2;
  assert.equal(stage.talk.send({ type: "heartbeat" }), false);
});

test("the line of commands is bounded", async () => {
  const stage = new Stage({ maxPending: 2 });
  stage.talk.command({});
  stage.talk.command({});
  await assert.rejects(stage.talk.command({}), { code: "full" });
});

test("an id that is under way is not given twice", async () => {
  const stage = await begun();
  stage.talk.command({ command_id: "x" });
  await assert.rejects(stage.talk.command({ command_id: "x" }), CommandFailed);
  assert.equal(stage.socket.sent.length, 1);
});

test("a refused command fails with the frame that refuses it", async () => {
  const stage = await begun();
  const answer = stage.talk.command({ type: "speech_event" });
  const refusal = { type: "error", command_id: "one", payload: { message: "too long", retry_after: null } };
  await stage.say(refusal);
  await assert.rejects(answer, { code: "refused", message: "too long", frame: refusal });
});

test("a command that came at a bad time is sent again when the server says", async () => {
  const stage = await begun();
  stage.talk.command({});
  stage.talk.command({});
  await stage.say(busy(2, { command_id: "one" }));
  await stage.clock.pass(2499);
  assert.equal(stage.socket.sent.length, 2);
  await stage.clock.pass(1);
  assert.deepEqual(stage.socket.sent.map(({ command_id }) => command_id), ["one", "two", "one"]);
});

test("where nobody says which command came at a bad time all unanswered ones are sent again", async () => {
  const stage = await begun();
  stage.talk.command({});
  stage.talk.command({});
  await stage.say({ type: "said", seq: 1, command_id: "one" }, busy(1), busy(1), busy(1));
  await stage.clock.pass(1500);
  assert.deepEqual(stage.socket.sent.map(({ command_id }) => command_id), ["one", "two", "two"]);
});

test("a command of which nothing comes fails in the end", async () => {
  const stage = await begun(0, { heartbeat: null });
  const answer = stage.talk.command({});
  await stage.clock.pass(60_000);
  await assert.rejects(answer, { code: "unanswered" });
});

test("the frame that was too large is not sent again, the others are", async () => {
  const stage = await begun();
  stage.talk.command({ type: "small" });
  const large = stage.talk.command({ type: "large".repeat(100) });
  await stage.lose(1009);
  await assert.rejects(large, { code: "too_large" });
  await stage.clock.pass(500);
  await stage.open();
  assert.deepEqual(stage.socket.sent.map(({ type }) => type), ["small"]);
});

test("a heartbeat goes out every 25 seconds", async () => {
  const stage = await begun();
  for (const count of [1, 2, 3, 4, 5]) {
    await stage.clock.pass(25_000);
    assert.equal(stage.socket.sent.length, count);
    await stage.say({ type: "heartbeat_response", payload: {} });
  }
  assert.deepEqual(stage.socket.sent[0], { type: "heartbeat" });
  assert.equal(stage.sockets.length, 1);
});

test("a server silent for a minute is left, and nothing it says later is heard", async () => {
  const stage = await begun();
  await stage.clock.pass(59_999);
  assert.equal(stage.of("lost").length, 0);
  await stage.clock.pass(1);
  assert.equal(stage.of("lost").length, 1);
  assert.equal(stage.sockets[0].closed.code, 4009);
  stage.raw(JSON.stringify(frame(9)), stage.sockets[0]);
  assert.equal(stage.of("message").length, 0);
  await stage.clock.pass(500);
  assert.equal(stage.sockets.length, 2);
});

test("a timer that comes late is not held against the server", async () => {
  const stage = await begun();
  stage.clock.now += 70_000; // the page was asleep
  await stage.clock.pass(0);
  assert.deepEqual([stage.of("lost").length, stage.socket.sent.length], [0, 1]);
  await stage.clock.pass(10_000);
  assert.equal(stage.of("lost").length, 1);
});

test("nor is a page that wakes up: the server has its time to answer", async () => {
  const stage = await begun();
  stage.clock.now += 70_000;
  stage.document.dispatchEvent(new Event("visibilitychange"));
  await stage.clock.pass(4_999);
  assert.equal(stage.of("lost").length, 0);
});

test("a connection that does not come about is given up", async () => {
  const stage = new Stage();
  await stage.clock.pass(10_000);
  assert.equal(stage.of("lost").length, 1);
});

test("a page that is looked at again tries at once", async () => {
  const stage = await begun();
  await stage.lose();
  stage.document.dispatchEvent(new Event("visibilitychange"));
  await stage.clock.pass(0);
  assert.equal(stage.sockets.length, 2);
});

test("but not sooner than the server asked for", async () => {
  const stage = await begun();
  await stage.say(busy(5));
  await stage.lose(1013);
  stage.document.dispatchEvent(new Event("visibilitychange"));
  await stage.clock.pass(4999);
  assert.equal(stage.sockets.length, 1);
  await stage.clock.pass(1);
  assert.equal(stage.sockets.length, 2);
});

test("a page that is looked at again finds out whether its socket still lives", async () => {
  for (const [lives, lost] of [[true, 0], [false, 1]]) {
    const stage = await begun();
    stage.document.dispatchEvent(new Event("visibilitychange"));
    if (lives) await stage.say({ type: "heartbeat_response" });
    await stage.clock.pass(5000);
    assert.equal(stage.of("lost").length, lost);
  }
});

test("offline there is no hurry, and online there is", async () => {
  const stage = await begun();
  stage.window.dispatchEvent(new Event("offline"));
  await stage.lose();
  assert.equal(stage.of("lost")[0].delay, 30_000);
  await stage.clock.pass(10_000);
  stage.window.dispatchEvent(new Event("online"));
  await stage.clock.pass(500);
  assert.equal(stage.sockets.length, 2);
});

test("closing is final, says goodbye and leaves nothing behind", async () => {
  const stage = await begun();
  stage.talk.close();
  stage.talk.close();
  assert.deepEqual(stage.socket.closed, { code: 1000, reason: "" });
  assert.equal(stage.of("closed").length, 1);
  await stage.lose(1006);
  stage.window.dispatchEvent(new Event("online"));
  stage.document.dispatchEvent(new Event("visibilitychange"));
  assert.deepEqual(stage.clock.waiting, []);
  assert.equal(stage.sockets.length, 1);
});

test("who is closed listens to the page no more", async () => {
  const stage = new Stage();
  const left = [];
  stage.window.removeEventListener = stage.document.removeEventListener = (type) => left.push(type);
  stage.talk.close();
  assert.deepEqual(left, ["offline", "online", "visibilitychange"]);
});

test("what is no JSON object is told and harms nothing", async () => {
  const stage = await begun();
  for (const text of ["nonsense", "[1]", "3", "null", new ArrayBuffer(2)]) stage.raw(text);
  await stage.say(frame(1));
  assert.deepEqual(stage.of("error").map(({ kind }) => kind), Array(5).fill("malformed"));
  assert.equal(stage.of("message").length, 1);
});

test("the event that made a snapshot may be told once", () => {
  const bookmark = new Bookmark(null, null, true);
  assert.deepEqual(
    [greeting(4), frame(3), frame(4), frame(4), frame(5), { type: "aside" }].map((one) => bookmark.place(one)),
    ["snapshot", "repeat", "logged", "repeat", "logged", "aside"],
  );
});

test("a snapshot forgets the gaps before it", () => {
  const bookmark = new Bookmark(4, "e1", true);
  assert.deepEqual([frame(6), greeting(8), frame(10)].map((one) => bookmark.place(one)), ["gap", "snapshot", "gap"]);
  assert.equal(bookmark.seq, 8);
});
