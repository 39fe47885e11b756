// What the list of a stream's events leaves out. Run by test_stream_modules.py.

import assert from "node:assert/strict";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const load = (name) => import(pathToFileURL(`${process.env.CONSOLE_MODULES}/stream/${name}.js`));
const { Outline, LANES } = await load("outline");
const { Sieve } = await load("sieve");

const spoken = (...events) => {
  const outline = new Outline();
  for (const [n, event] of events.entries()) outline.append({ time: n, event, lane: event.startsWith("call.tool") ? "tools" : "assistant" });
  return outline;
};
const PIECE = "call.response_piece_added";

test("the list without pieces has the rest in its order, and finds each by its row and back", () => {
  const outline = spoken("call.described", PIECE, PIECE, "call.response_completed", "call.tool_begun", "conversation.reply_piece_added/1");
  const sieve = new Sieve(outline, { withoutPieces: true }).grow();
  assert.deepEqual([1, 2, 3, 4].map((row) => sieve.version(row)), [1, 4, 5, undefined]);
  assert.deepEqual([0, 1, 2, 3, 4, 5, 6].map((version) => sieve.row(version)), [0, 1, 1, 1, 2, 3, 3]);
  assert.deepEqual([sieve.size, sieve.leftOut], [3, 3]);
  outline.append({ time: 9, event: PIECE, lane: "assistant" });
  outline.append({ time: 9, event: "call.ended", lane: "assistant" });
  assert.deepEqual([sieve.grow().version(4), sieve.leftOut], [8, 4]);
});

test("a hidden lane is left out, and a list of all is what it was", () => {
  const outline = spoken("call.tool_begun", PIECE, "call.tool_succeeded");
  const hidden = new Sieve(outline, { hidden: [LANES.indexOf("tools")] }).grow();
  assert.deepEqual([hidden.version(1), hidden.size], [2, 1]);
  const all = new Sieve(outline).grow();
  assert.deepEqual([all.version(3), all.version(4), all.row(3), all.leftOut], [3, undefined, 3, 0]);
});

test("steps go from row to row, also from what is not listed", () => {
  const sieve = new Sieve(spoken("a.b", PIECE, PIECE, "a.b", "a.b"), { withoutPieces: true }).grow();
  assert.deepEqual([sieve.step(1, 1), sieve.step(2, 1), sieve.step(3, -1), sieve.step(4, -1), sieve.step(5, 9), sieve.step(4, -Infinity)], [4, 4, 1, 1, 5, 1]);
  assert.equal(new Sieve(spoken(PIECE), { withoutPieces: true }).grow().step(1, 1), undefined);
});

test("what lies far between two rows is not read", () => {
  const pieces = Array.from({ length: 100 }, () => PIECE);
  const sieve = new Sieve(spoken("a.b", PIECE, "a.b", ...pieces, "a.b"), { withoutPieces: true }).grow();
  assert.deepEqual(sieve.spans(1, 3, 50), [[1, 3], [104, 104]]);
});
