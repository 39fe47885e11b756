// The board's model: rows, their order, and the rates of counters.

import assert from "node:assert/strict";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const load = (name) => import(pathToFileURL(`${process.env.CONSOLE_MODULES}/board/${name}.js`));
const { Rows } = await load("rows");
const { EVERYTHING, FIRST_WISH, ordered, sortedBy, tally } = await load("order");
const { Rates } = await load("rates");

const TALK = "conversation-a";
const told = (version, more = {}) => ({
  stream: TALK, kind: "conversation", label: "idle", version, last_event: "conversation.opened", last_time: version, watchers: 0,
  mailbox: 0, effects: 0, ...more,
});
const heard = (version, more = {}) => ({ stream: TALK, version, event: "conversation.message_said", says: `said ${version}`, rejected: false, time: version, ...more });

test("what is told again in the same words is the same row, which need not be drawn again", () => {
  const rows = new Rows();
  rows.take([told(3)], 0);
  const before = rows.get(TALK);
  rows.take([told(3)], 1000);
  assert.equal(rows.get(TALK), before);
  rows.take([told(3, { watchers: 1 })], 2000);
  assert.notEqual(rows.get(TALK), before);
  assert.equal(before.watchers, 0);
});

test("what was heard is not undone by a board that is older than it", () => {
  const rows = new Rows();
  rows.take([told(3)], 0);
  rows.hear(heard(5), 100);
  rows.take([told(4, { mailbox: 2 })], 200);
  const { version, says, mailbox } = rows.get(TALK);
  assert.deepEqual([version, says, mailbox], [5, "said 5", 2]);
});

test("an event heard twice, or an older one, counts once", () => {
  const rows = new Rows();
  rows.take([told(3)], 0);
  for (const version of [4, 4, 2]) rows.hear(heard(version), 100);
  assert.equal(rows.get(TALK).perMinute, 1);
  assert.equal(rows.get(TALK).says, "said 4");
});

test("events that were not heard count by the version, and those of a minute ago no more", () => {
  const rows = new Rows();
  rows.take([told(3)], 0);
  rows.take([told(10)], 1000);
  assert.equal(rows.get(TALK).perMinute, 7);
  for (let ms = 2000; ms <= 70_000; ms += 1000) rows.take([told(10)], ms);
  assert.equal(rows.get(TALK).perMinute, 0);
});

test("what happened while nobody looked is no rate of the last seconds", () => {
  const rows = new Rows();
  rows.take([told(3)], 0);
  rows.take([told(500)], 30_000);
  assert.equal(rows.get(TALK).perMinute, 0);
  assert.equal(rows.get(TALK).version, 500);
});

test("what a stream said before the board named it is known when the board does", () => {
  const rows = new Rows();
  rows.take([], 0);
  rows.hear(heard(1), 100);
  assert.equal(rows.size, 0);
  rows.take([told(1)], 1000);
  assert.equal(rows.get(TALK).says, "said 1");
});

test("a stream that is no longer live is gone", () => {
  const rows = new Rows();
  rows.take([told(3)], 0);
  rows.take([], 1000);
  assert.equal(rows.get(TALK), undefined);
});

const shownRows = [
  { stream: "call-2", kind: "call", label: "open", event: "call.tool_begun", says: "forecast for Lisbon", time: 30, mailbox: 0 },
  { stream: "conversation-10", kind: "conversation", label: "idle", event: "conversation.message_said", says: "Hello <b>", time: 20, mailbox: 5 },
  { stream: "conversation-9", kind: "conversation", label: "speaking", event: null, says: "", time: null, mailbox: 1 },
];
const order = (wish) => ordered(shownRows, { ...FIRST_WISH, ...wish }).map((stream) => stream.split("-")[1]);

test("rows are ordered by any column, numbers within names as numbers", () => {
  assert.deepEqual(order({}), ["2", "10", "9"]);
  assert.deepEqual(order({ by: "stream", direction: "ascending" }), ["2", "9", "10"]);
  assert.deepEqual(order({ by: "mailbox", direction: "descending" }), ["10", "9", "2"]);
});

test("all words must be there, in the name or in what was said, as text", () => {
  assert.deepEqual(order({ text: "LISBON call" }), ["2"]);
  assert.deepEqual(order({ text: "<b>" }), ["10"]);
  assert.deepEqual(order({ text: ".*" }), []);
  assert.deepEqual(order({ kind: "conversation", label: "speaking" }), ["9"]);
});

test("what the server writes for itself is shown to who asks for it", () => {
  const rows = ["audit", "delivery", "call"].map((kind) => ({ stream: `${kind}-1`, kind, label: "open", says: "" }));
  const shown = (kind) => ordered(rows, { ...FIRST_WISH, kind });
  assert.deepEqual(shown(""), ["call-1"]);
  assert.deepEqual(shown("audit"), ["audit-1"]);
  assert.equal(shown(EVERYTHING).length, 3);
});

test("a column chosen again turns around, another begins in its own direction", () => {
  const once = sortedBy(FIRST_WISH, "stream");
  assert.equal(once.direction, "ascending");
  assert.equal(sortedBy(once, "stream").direction, "descending");
  assert.equal(sortedBy(once, "mailbox").direction, "descending");
});

test("the values of a field are told with how many rows have them", () => {
  assert.deepEqual(tally(shownRows, "kind"), [["conversation", 2], ["call", 1]]);
});

const counters = (commands, more = {}) => ({ commands, commits: commands / 2, frames: commands * 4, commit_seconds: commands / 1000, ...more });
const SECOND = 1_000_000;

test("rates are of the time between two answers, and the latency of its commits", () => {
  const rates = new Rates();
  rates.take(0, counters(100));
  rates.take(2 * SECOND, counters(140));
  const last = (id) => rates.columns[id].at(-1);
  assert.deepEqual([last("commands"), last("commits"), last("frames")], [20, 10, 80]);
  assert.ok(Math.abs(last("latency") - 2) < 1e-9);
});

test("where nothing was committed there is no latency, and over a restart or a pause no rate", () => {
  const rates = new Rates();
  rates.take(0, counters(100));
  rates.take(SECOND, counters(100));
  rates.take(2 * SECOND, counters(4));
  rates.take(30 * SECOND, counters(400));
  assert.deepEqual(rates.columns.commands, [null, 0, null, null]);
  assert.deepEqual(rates.columns.latency, [null, null, null, null]);
});

test("two minutes are kept, however long one looks", () => {
  const rates = new Rates();
  for (let second = 0; second < 1000; second++) rates.take(second * SECOND, counters(second));
  assert.equal(rates.at.length, 120);
  assert.equal(rates.columns.frames.length, 120);
  assert.equal(rates.at.at(-1), 999);
});
