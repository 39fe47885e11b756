// The stream view's modules without a page: the model on a scripted socket, and what is pure. Run by test_stream_modules.py,
// which puts the modules where STREAM_MODULES says.

import assert from "node:assert/strict";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const load = (name) => import(pathToFileURL(`${process.env.STREAM_MODULES}/${name}.js`));
const { StreamModel } = await load("model");
const { Outline, LANES, countBefore } = await load("outline");
const { Records } = await load("records");
const { States } = await load("states");
const { differences, same, written } = await load("diff");
const { advance } = await load("playing");
const { soundsIn } = await load("media");
const { arrived, gone, grown, scrolled } = await load("travel");
const axis = await load("axis");

const STREAM = "conversation-c";
const SECOND = 1_000_000;
const settled = () => new Promise((resolve) => setImmediate(resolve));
const deferred = () => {
  const one = {};
  one.promise = new Promise((resolve, reject) => Object.assign(one, { resolve, reject }));
  return one;
};
const recordAt = (version, position = version * 10) => ({
  type: "record", stream: STREAM, version, position, time: version * SECOND, event: `conversation.event_${version % 3}`,
  lane: LANES[version % LANES.length], says: `said ${version}`, payload: {},
});

/** What an outline answer has of versions 1 to `version`. */
const outlineOf = (version) => {
  const records = Array.from({ length: version }, (_, n) => recordAt(n + 1));
  const names = [...new Set(records.map(({ event }) => event))];
  return {
    stream: STREAM, version, first: SECOND, steps: records.map((_, n) => (n === 0 ? 0 : SECOND)), names,
    events: records.map(({ event }) => names.indexOf(event)), lanes: records.map(({ lane }) => LANES.indexOf(lane)),
  };
};

/** A server with one stream, of which a test says when its answers come. */
class Server {
  status = "open";
  hello = { type: "hello", epoch: "e" };
  asked = [];
  told = [];
  version = 0;
  #listeners = { record: new Set(), hello: new Set() };

  constructor(version) {
    this.version = version;
    this.head = version * 10;
  }

  on(type, listener) {
    this.#listeners[type].add(listener);
    return () => this.#listeners[type].delete(listener);
  }

  whenOpen(listener) {
    if (this.status === "open") listener(this.hello);
    return this.on("hello", listener);
  }

  tell(message) {
    this.told.push(message);
  }

  ask(message) {
    this.asked.push(message);
    const answer = deferred();
    return this.isHeld?.(message) ? answer.promise : this.answer(message);
  }

  async answer(message) {
    if (this.fails?.(message)) throw Object.assign(new Error("no"), this.fails(message));
    if (message.type === "watch") {
      const missed = message.after === undefined ? this.version : message.after / 10;
      for (let version = missed + 1; version <= this.version; version += 1) this.emit("record", recordAt(version));
      return { type: "tuned", position: message.after ?? this.head };
    }
    if (message.type === "page") {
      const until = Math.min(message.until, this.version);
      for (let version = message.after + 1; version <= until; version += 1) this.emit("record", recordAt(version));
      return { type: "page_end" };
    }
    return { type: "state", at: message.at, state: { at: message.at } };
  }

  emit(type, frame) {
    for (const listener of [...this.#listeners[type]]) listener(frame);
  }

  record(version) {
    this.version = Math.max(this.version, version);
    this.head = this.version * 10;
    this.emit("record", recordAt(version));
  }

  get = async () => outlineOf(this.version);

  types(type) {
    return this.asked.filter((message) => message.type === type);
  }
}

async function opened(server, options = {}) {
  const model = new StreamModel(STREAM, { socket: server, get: server.get, setTimeout: () => {}, ...options });
  model.open();
  await settled();
  return model;
}

const versionsOf = ({ outline }) => Array.from({ length: outline.version }, (_, n) => outline.time(n + 1) / SECOND);
const upTo = (last) => Array.from({ length: last }, (_, n) => n + 1);

test("an outline says when each event was, which and whose it was", () => {
  const outline = Outline.from({ first: 5 * SECOND, steps: [0, SECOND, 10 * SECOND], names: ["a.b", "a.c"], events: [0, 1, 0], lanes: [0, 1, 4] });
  assert.deepEqual([outline.version, outline.first, outline.time(3), outline.event(2), outline.lane(3)], [3, 5e6, 16e6, "a.c", 4]);
  assert.deepEqual([...outline.places().slice(0, 3)], [0, SECOND, 11 * SECOND]);
  assert.deepEqual([...outline.places(true).slice(0, 3)], [0, SECOND, 3 * SECOND]);
  assert.deepEqual(outline.summary()[1], { lane: "assistant", events: 1, first: 2, last: 2 });
});

test("an outline grows beyond any room it began with", () => {
  const outline = Outline.from(outlineOf(3));
  for (let version = 4; version <= 5000; version += 1) outline.append(recordAt(version));
  assert.deepEqual([outline.version, outline.time(5000), outline.event(4999)], [5000, 5000 * SECOND, "conversation.event_1"]);
});

test("a clock that was set back does not send the axis backwards", () => {
  const outline = Outline.from({ first: 100, steps: [0, 50, -40, 20], names: ["a"], events: [0, 0, 0, 0], lanes: [0, 0, 0, 0] });
  assert.deepEqual([...outline.places().slice(0, 4)], [0, 50, 50, 50]);
  assert.equal(outline.time(3), 110);
});

test("what is recorded between listening and reading is there once", async () => {
  const server = new Server(3);
  const read = deferred();
  const model = await opened(server, { get: () => read.promise });
  server.record(4);
  const answer = outlineOf(5);
  server.record(5);
  server.record(6);
  assert.equal(model.status, "loading");
  read.resolve(answer);
  await settled();
  assert.deepEqual(versionsOf(model), upTo(6));
  assert.equal(model.records.get(4).says, "said 4");
});

test("it listens before it reads", async () => {
  const server = new Server(2);
  const order = [];
  const ask = server.ask.bind(server);
  server.ask = (message) => (order.push(message.type), ask(message));
  await opened(server, { get: () => (order.push("outline"), server.get()) });
  assert.deepEqual(order, ["watch", "outline"]);
});

test("repeated and late records change nothing, and a gap is filled", async () => {
  const server = new Server(3);
  const model = await opened(server);
  server.record(4);
  server.record(4);
  server.isHeld = ({ type }) => type === "page";
  server.record(8);
  assert.equal(model.version, 4);
  await server.answer(server.types("page")[0]);
  assert.deepEqual(versionsOf(model), upTo(8));
  assert.deepEqual(server.types("page").map(({ after, until }) => [after, until]), [[4, 7]]);
});

test("after a reconnect it goes on behind the last position", async () => {
  const server = new Server(3);
  const model = await opened(server);
  server.record(4);
  server.version = 7;
  server.emit("hello", server.hello);
  await settled();
  assert.equal(server.types("watch").at(-1).after, 40);
  assert.deepEqual(versionsOf(model), upTo(7));
});

test("who missed more than the server tells in one go reads the outline again", async () => {
  const server = new Server(3);
  const model = await opened(server);
  server.version = 9000;
  server.fails = (message) => message.after !== undefined && message.type === "watch" && { code: "too_far_behind" };
  server.emit("hello", server.hello);
  await settled();
  assert.equal(model.status, "ready");
  server.record(9001);
  assert.deepEqual(versionsOf(model), upTo(9001));
});

test("what is heard while the outline is read again is held for it", async () => {
  const server = new Server(10);
  const reads = [];
  const model = await opened(server, { get: () => (reads.push(deferred()), reads.at(-1).promise) });
  reads[0].resolve(outlineOf(10));
  await settled();
  server.fails = (message) => message.after !== undefined && message.type === "watch" && { code: "too_far_behind" };
  server.emit("hello", server.hello);
  await settled();
  for (const version of [11, 12, 13]) server.record(version);
  reads[1].resolve(outlineOf(11));
  await settled();
  assert.deepEqual([model.status, versionsOf(model)], ["ready", upTo(13)]);
});

test("however much is heard while the outline is read, all of it is there in the end", async () => {
  const server = new Server(10);
  const read = deferred();
  const model = await opened(server, { get: () => read.promise });
  for (let version = 11; version <= 6010; version += 1) server.record(version);
  read.resolve(outlineOf(10));
  await settled();
  assert.deepEqual(versionsOf(model), upTo(6010));
  assert.deepEqual(server.types("page").map(({ after }) => after), [5010, 5210, 5410, 5610, 5810]);
});

test("a stream that was told anew is read anew, though the epoch is the same", async () => {
  const server = new Server(4);
  const model = await opened(server);
  server.emit("record", recordAt(2));
  model.states.want(4);
  await settled();
  assert.deepEqual([model.records.get(2).says, model.states.has(4)], ["said 2", true]);
  model.states.want();
  server.emit("hello", { ...server.hello, isAnew: true });
  assert.deepEqual([model.status, model.version, model.records.get(2), model.states.has(4)], ["loading", 0, undefined, false]);
  await settled();
  assert.deepEqual([model.version, server.types("watch").at(-1).after], [4, undefined]);
});

test("a page left open holds so many events and no more, and asks for none beyond", async () => {
  const server = new Server(5);
  const timers = [];
  const model = await opened(server, { most: 8, setTimeout: (does) => timers.push(does) });
  assert.equal(model.isFull, false);
  for (const version of [6, 7, 8, 9, 10, 300]) server.record(version);
  await settled();
  assert.deepEqual([model.version, model.isFull, server.types("page"), timers], [8, true, [], []]);
});

test("another epoch is another log", async () => {
  const server = new Server(9);
  const model = await opened(server);
  server.version = 2;
  server.emit("hello", { type: "hello", epoch: "other" });
  assert.equal(model.status, "loading");
  await settled();
  assert.deepEqual(versionsOf(model), [1, 2]);
  assert.equal(server.types("watch").at(-1).after, undefined);
});

test("a stream that is not there is told, and appears when it begins", async () => {
  const server = new Server(0);
  const model = await opened(server, { get: () => Promise.reject(Object.assign(new Error("no"), { status: 404 })) });
  assert.equal(model.status, "missing");
  server.record(1);
  assert.deepEqual([model.status, model.version], ["ready", 1]);
});

test("what failed and may pass is tried again, what is refused is not", async () => {
  for (const [status, tries] of [[503, 1], [0, 1], [403, 0]]) {
    const timers = [];
    const get = () => Promise.reject(Object.assign(new Error("no"), { status }));
    const model = await opened(new Server(3), { get, setTimeout: (does) => timers.push(does) });
    assert.deepEqual([model.status, timers.length], ["failed", tries]);
  }
});

test("a closed model hears nothing and stops listening", async () => {
  const server = new Server(3);
  const model = await opened(server);
  model.close();
  server.record(4);
  assert.deepEqual([model.version, server.told], [3, [{ type: "unwatch", stream: STREAM }]]);
});

test("records come in aligned blocks, each asked for once, and what is looked at last is asked for", async () => {
  const asked = [];
  const records = new Records(async (after, until) => {
    asked.push([after, until]);
    for (let version = after + 1; version <= until; version += 1) records.put(recordAt(version));
  });
  records.want("list", 30, 70);
  records.want("list", 30, 70);
  await settled();
  assert.deepEqual(asked, [[0, 50], [50, 70]]);
  records.want("list", 71, 100);
  await settled();
  assert.deepEqual(asked.at(-1), [50, 100]);
  assert.equal(records.get(100).says, "said 100");
});

test("only so many blocks are kept, those looked at last", async () => {
  const records = new Records(async (after, until) => {
    for (let version = after + 1; version <= until; version += 1) records.put(recordAt(version));
  }, { mostBlocks: 3 });
  for (let n = 0; n < 10; n += 1) {
    records.want("list", n * 50 + 1, n * 50 + 50);
    await settled();
  }
  assert.equal(records.blocks, 3);
  assert.equal(records.get(1), undefined);
  assert.equal(records.get(500).version, 500);
});

test("what was shown where one was is not asked for once one goes elsewhere", async () => {
  const [asked, timers] = [[], []];
  const records = new Records(async (after) => asked.push(after), { pause: 100, setTimeout: (does) => timers.push(does) });
  records.want("list", 1, 40);
  records.leave(5020);
  records.want("cursor", 5020, 5020);
  timers.pop()();
  assert.deepEqual(asked, [5000]);
});

test("at most two pages are under way, and a block nobody looks at any more is not asked for", async () => {
  const asked = [];
  const answers = [];
  const records = new Records((after) => {
    asked.push(after);
    answers.push(deferred());
    return answers.at(-1).promise;
  });
  for (const n of [0, 5, 10, 15]) records.want("list", n * 50 + 1, n * 50 + 20);
  assert.deepEqual(asked, [0, 250]);
  answers.forEach(({ resolve }) => resolve());
  await settled();
  assert.deepEqual(asked, [0, 250, 750]);
});

test("who slides through a stream has pages asked for at intervals, the last of them too", async () => {
  const [asked, timers] = [[], []];
  const records = new Records(async (after) => asked.push(after), { pause: 60_000, setTimeout: (does) => timers.push(does) });
  for (const n of [0, 5, 10, 15]) records.want("list", n * 50 + 1, n * 50 + 20);
  await settled();
  assert.deepEqual([asked, timers.length], [[], 1]);
  timers.pop()();
  assert.deepEqual(asked, [750]);
  await settled();
  for (const n of [20, 25]) records.want("list", n * 50 + 1, n * 50 + 20);
  assert.deepEqual([asked, timers.length], [[750], 1]);
});

test("left to the platform's own timers, what failed is asked for again", async (context) => {
  const platform = globalThis.setTimeout;
  context.after(() => (globalThis.setTimeout = platform));
  const timers = [];
  globalThis.setTimeout = function (does) { // as a browser's, which is nobody's method
    if (this !== undefined && this !== globalThis) throw new TypeError("Illegal invocation");
    timers.push(does);
  };
  let tries = 0;
  const records = new Records(() => Promise.reject(new Error(`${(tries += 1)}`)));
  records.want("list", 1, 20);
  await settled();
  const failing = () => Promise.reject(new Error("no"));
  const model = new StreamModel(STREAM, { socket: new Server(1), get: failing });
  model.open();
  await settled();
  assert.deepEqual([tries, model.status, timers.length], [1, "failed", 2]);
  timers[0]();
  assert.equal(tries, 2);
});

test("a page that cannot be read is not asked for again at once", async () => {
  const timers = [];
  let tries = 0;
  const records = new Records(() => Promise.reject(new Error(`${(tries += 1)}`)), { setTimeout: (does) => timers.push(does) });
  records.want("list", 1, 20);
  await settled();
  records.want("list", 1, 21);
  await settled();
  assert.deepEqual([tries, timers.length, records.failure.message], [1, 1, "1"]);
  timers[0]();
  assert.equal(tries, 2);
});

test("a page that has less than was asked for is not asked for for ever", async () => {
  let tries = 0;
  const records = new Records(async () => (tries += 1));
  records.want("list", 1, 20);
  await settled();
  assert.equal(tries, 1);
});

test("while a state is under way only the newest wish waits", async () => {
  const asked = [];
  const answers = new Map();
  const states = new States((version) => {
    asked.push(version);
    answers.set(version, deferred());
    return answers.get(version).promise;
  });
  for (let version = 1; version <= 100; version += 1) states.want(version, version - 1);
  assert.deepEqual(asked, [1]);
  answers.get(1).resolve("one");
  await settled();
  assert.deepEqual(asked, [1, 100]);
  answers.get(100).resolve("hundred");
  await settled();
  assert.deepEqual(asked, [1, 100, 99]);
  assert.deepEqual([states.get(1), states.get(100), states.has(99)], ["one", "hundred", false]);
});

test("only so many states are kept, and a failed one is not asked for in a circle", async () => {
  let tries = 0;
  const states = new States(async (version) => {
    if (version === 7) throw new Error(`${(tries += 1)}`);
    return { version };
  }, { most: 4 });
  for (let version = 0; version < 20; version += 1) {
    states.want(version);
    await settled();
  }
  assert.deepEqual([states.has(15), states.has(16), states.has(19), tries], [false, true, true, 1]);
  states.want(7, 6);
  await settled();
  assert.deepEqual([tries, states.failure.version, states.has(6)], [2, 7, true]);
});

test("of two states that both fail each is asked for once", async () => {
  let tries = 0;
  const states = new States(async () => {
    if ((tries += 1) > 9) return new Promise(() => {}); // so that asking for ever fails the test, and does not stop it
    throw new Error("not connected");
  });
  states.want(12, 11);
  for (let turn = 0; turn < 9; turn += 1) await settled();
  assert.deepEqual([tries, states.failure.version], [2, 12]);
  states.again();
  await settled();
  assert.equal(tries, 4);
});

test("differences name what was added, removed and changed", () => {
  const before = { a: 1, b: [1, 2, { c: null }], gone: true };
  const after = { a: 2, b: [1, 2, { c: "x" }, 4], "new key": {} };
  const { changes, isCut } = differences(before, after);
  assert.deepEqual(changes.map(({ path, kind }) => [written(path), kind]), [
    ["a", "changed"], ["b[2].c", "changed"], ["b[3]", "added"], ["gone", "removed"], ['["new key"]', "added"],
  ]);
  assert.equal(isCut, false);
});

test("a list that lost its first entry changed in that alone", () => {
  const { changes } = differences([{ n: 1 }, { n: 2 }, { n: 3 }], [{ n: 2 }, { n: 3 }]);
  assert.deepEqual(changes, [{ path: [0], kind: "removed", before: { n: 1 } }]);
});

test("a list that goes on at its end and loses its first entries says only that", () => {
  const from = (first) => upTo(20).map((n) => ({ n: n + first }));
  const { changes } = differences({ said: from(0) }, { said: from(2) });
  assert.deepEqual(changes.map(({ path, kind }) => [written(path), kind]), [
    ["said[0]", "removed"], ["said[1]", "removed"], ["said[18]", "added"], ["said[19]", "added"],
  ]);
});

test("an entry that changed among others that moved is told by what changed in it", () => {
  const { changes } = differences([1, { a: 1, b: 1 }, 3, 4], [{ a: 1, b: 2 }, 3, 5, 4]);
  assert.deepEqual(changes.map(({ path, kind }) => [written(path), kind]), [["[0]", "changed"], ["[1]", "removed"], ["[2]", "added"]]);
});

test("lists too long to look for what moved are compared place by place", () => {
  const { changes } = differences(upTo(500), upTo(500).map((n) => n + 0.5));
  assert.deepEqual([changes.length, changes.every(({ kind }) => kind === "changed")], [400, true]);
});

test("one value against another of its own kind, or not", () => {
  for (const [before, after, paths] of [
    [null, {}, ["(all)"]], [{}, [], ["(all)"]], [[], [], []], ["1", 1, ["(all)"]], [{ a: {} }, { a: {} }, []], [{ a: [[]] }, { a: [[0]] }, ["a[0][0]"]],
    [{ constructor: 1 }, {}, ["constructor"]], [{}, { toString: 1 }, ["toString"]],
  ]) {
    assert.deepEqual(differences(before, after).changes.map(({ path }) => written(path)), paths);
    assert.equal(same(before, after), paths.length === 0);
  }
});

test("of very many differences the first are told", () => {
  const { changes, isCut } = differences({}, Object.fromEntries(upTo(50).map((n) => [n, n])), 20);
  assert.deepEqual([changes.length, isCut], [20, true]);
});

test("playing goes in the log's own time, with silences cut", () => {
  const outline = Outline.from({ first: 0, steps: [0, SECOND, 60 * SECOND, 1000, 1000], names: ["a"], events: [0, 0, 0, 0, 0], lanes: [0, 0, 0, 0, 0] });
  assert.deepEqual(advance(outline, 0, 0, 0), { cursor: 1, credit: 0 });
  assert.deepEqual(advance(outline, 1, 0, SECOND - 1), { cursor: 1, credit: SECOND - 1 });
  assert.deepEqual(advance(outline, 1, SECOND - 1, 1), { cursor: 2, credit: 0 });
  assert.deepEqual(advance(outline, 2, 0, 2 * SECOND + 1500), { cursor: 4, credit: 500 });
  assert.deepEqual(advance(outline, 2, 0, 100 * SECOND), { cursor: 5, credit: 0 });
});

test("one follows while at the end, and only then", () => {
  let place = arrived(null, 10);
  place = grown(place, 12);
  assert.deepEqual([place.cursor, place.isFollowing, place.seen], [12, true, 12]);
  place = grown(gone(place, 5, 12), 15);
  assert.deepEqual([place.cursor, place.isFollowing, place.seen], [5, false, 12]);
  place = grown(gone(place, 15, 15), 16);
  assert.deepEqual([place.cursor, place.isAtEnd], [16, true]);
  assert.deepEqual([gone(place, -3, 16).cursor, gone(place, 99, 16).cursor, gone(place, NaN, 16).cursor], [0, 16, 0]);
  assert.deepEqual([arrived(10, 10).isFollowing, arrived(9, 10).isFollowing, arrived(99, 10).cursor], [true, false, 10]);
});

test("who scrolls up from the end stays there, and goes along again when back", () => {
  let place = grown(scrolled(arrived(null, 10), false, 10), 13);
  assert.deepEqual([place.cursor, place.isFollowing, 13 - place.seen], [10, false, 3]);
  place = scrolled(place, true, 13);
  assert.deepEqual([place.cursor, place.isFollowing, place.seen], [13, true, 13]);
  place = scrolled(scrolled(gone(place, 4, 13), true, 13), false, 13);
  assert.deepEqual([place.cursor, place.isFollowing], [4, false]);
});

test("sounds are found wherever a payload names them, and nothing else is taken for one", () => {
  const digest = "a".repeat(64);
  const payload = {
    blob: { digest, size: 12, media_type: "audio/wav" },
    list: [{ digest: "b".repeat(64), size: 3, type: "audio/ogg" }, { digest: "../../x", type: "audio/ogg" }, { digest, size: 12, type: "audio/wav" }],
    picture: { digest, size: 1, media_type: "image/png" }, text: "audio/wav", none: null,
  };
  assert.deepEqual(soundsIn(payload).map(({ digest: of, size, type }) => [of[0], size, type]), [["a", 12, "audio/wav"], ["b", 3, "audio/ogg"]]);
});

test("a sound that was sent in pieces is one", () => {
  const piece = (letter, media_type, size = 10) => ({ digest: letter.repeat(64), size, media_type });
  const [rest, wav] = ["application/octet-stream", "audio/wav"];
  const media = [piece("0", rest), piece("a", wav), piece("b", rest), piece("c", rest), piece("d", wav), piece("e", "image/png"), piece("f", rest)];
  const told = soundsIn({ number: 1, media }).map(({ size, parts }) => [size, parts.map(({ digest }) => digest[0]).join("")]);
  assert.deepEqual(told, [[30, "abc"], [10, "d"]]);
});

const eventsOf = (places, lanes = places.map(() => 0)) => ({ places: Float64Array.from(places), lanes: Uint8Array.from(lanes), count: places.length });

test("columns count each event in sight once", () => {
  const events = eventsOf([0, 10, 10, 50, 99, 100, 150], [0, 1, 1, 0, 2, 0, 0]);
  const { counts, most, inside } = axis.columns(events, { from: 0, until: 100 }, 10);
  assert.deepEqual([inside, most], [5, 2]);
  assert.deepEqual([counts[0], counts[10 + 1], counts[5], counts[20 + 9]], [1, 2, 1, 1]);
  assert.equal(countBefore(events.places, 7, 10), 1);
});

test("a hundred thousand events are counted in less than a frame of 50 ms", () => {
  const many = eventsOf(Array.from({ length: 100_000 }, (_, n) => n * 997), Array.from({ length: 100_000 }, (_, n) => n % 5));
  const all = axis.everything(many.places, many.count);
  axis.columns(many, all, 600);
  const began = performance.now();
  const { inside } = axis.columns(many, all, 600);
  assert.ok(performance.now() - began < 50);
  assert.equal(inside, 100_000);
});

test("zooming keeps the place it is done at, and ends at what there is", () => {
  const all = { from: 0, until: 1000 };
  assert.deepEqual(axis.zoomed({ from: 0, until: 1000 }, 0.5, 250, all), { from: 125, until: 625 });
  assert.deepEqual(axis.zoomed({ from: 125, until: 625 }, 4, 250, all), all);
  assert.deepEqual(axis.panned({ from: 100, until: 400 }, -500, all), { from: 0, until: 300 });
  assert.deepEqual(axis.panned({ from: 100, until: 400 }, 5000, all), { from: 700, until: 1000 });
  assert.deepEqual(axis.showing({ from: 0, until: 300 }, 800, all), { from: 650, until: 950 });
  assert.deepEqual(axis.showing({ from: 0, until: 300 }, 200, all), { from: 0, until: 300 });
});

test("the nearest event is the lane's own before another's", () => {
  const events = eventsOf([0, 100, 104, 200], [0, 0, 1, 1]);
  assert.deepEqual([axis.nearest(events, 101, 1, 10), axis.nearest(events, 101, 0, 10), axis.nearest(events, 101, 3, 10), axis.nearest(events, 150, 0, 10)], [3, 2, 2, 0]);
});

test("ticks stand at whole steps of the day", () => {
  const { step, places } = axis.ticks({ from: 0, until: 60 * SECOND }, 660, 1_500_000);
  assert.equal(step, 10 * SECOND);
  assert.deepEqual(places[0], 10 * SECOND - 1_500_000);
  assert.equal(places.length, 6);
});
