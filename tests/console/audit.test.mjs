// What is pure in the audit, the clients, the integrity view and the acts. Run by test_audit_modules.py.

import assert from "node:assert/strict";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

process.env.TZ = "Europe/Oslo"; // an hour before UTC, two in summer

const load = (name) => import(pathToFileURL(`${process.env.CONSOLE_MODULES}/${name}.js`));
const { toTyped, toUtc } = await load("audit/times");
const { faultsOf, filtersOf, pageQuestion, question, searchLink, typed, untyped } = await load("audit/filters");
const { brief } = await load("audit/entry");
const { pieces, reasons, wanted } = await load("audit/words");
const { connectionsIn } = await load("clients/notes");
const { withJoined } = await load("clients/joined");
const { behind } = await load("clients/bounds");
const { meaningOf } = await load("clients/codes");
const { checkpointOf } = await load("integrity/words");
const { isOver, labelOf } = await load("stream/phase");
const { bodyOf, fieldsOf } = await load("act/schema");
const { bodyFaults, newKey } = await load("act/acting");

test("a typed time is the reader's own, and keeps its microseconds", () => {
  const today = new Date(2026, 10, 21);
  assert.equal(toUtc("14:03:07", today), "2026-11-21T13:03:07Z");
  assert.equal(toUtc("14:03:07.000123", today), "2026-11-21T13:03:07.000123Z");
  assert.equal(toUtc("2026-07-01 14:03"), "2026-07-01T12:03:00Z");
  assert.equal(toUtc("2026-11-21"), "2026-11-20T23:00:00Z");
});

test("who is not known any more when exporting is told to sign in, as with any other question", async (t) => {
  const { fetchExport } = await load("audit/fetching");
  const { onUnauthorized } = await load("server");
  const asked = [];
  t.after(() => ["fetch", "sessionStorage"].forEach((name) => delete globalThis[name]));
  globalThis.sessionStorage = { getItem: () => "a.b.c" };
  globalThis.fetch = async (url, { headers }) => {
    asked.push(`${new URL(url).search} ${headers.Authorization}`);
    return new Response(JSON.stringify({ detail: "The token is over" }), { status: 401 });
  };
  let times = 0;
  t.after(onUnauthorized(() => (times += 1)));
  await assert.rejects(fetchExport({ format: "csv", compress: false }, () => {}, null), { status: 401, message: "The token is over" });
  assert.deepEqual([times, asked], [1, ["?format=csv&compress=false Bearer a.b.c"]]);
});

test("what is no time, or says its zone, is left to the server", () => {
  for (const text of ["yesterday", "2026-11-21T14:03:07Z", "1795275799783404", ""]) assert.equal(toUtc(text), text);
});

test("an address's time is shown as one would type it, and back", () => {
  assert.equal(toTyped("2026-11-21T13:03:07.000123Z"), "2026-11-21 14:03:07.000123");
  assert.equal(toTyped("2026-11-21T13:03:07+00:00"), "2026-11-21 14:03:07");
  assert.equal(toTyped("2026-11-21"), "2026-11-21 01:00:00"); // the API means UTC
  assert.equal(toTyped("yesterday"), "yesterday");
  for (const time of ["2026-11-21T13:03:07Z", "2026-07-01T12:00:00.5Z"]) assert.equal(toUtc(toTyped(time)), time);
});

test("a question survives its address and its form", () => {
  const filters = { text: 'berg* "a b"', stream: "channel-a&b=c#d@1", since: "2026-11-21T13:03:07Z", rejected: "true" };
  const address = searchLink(filters);
  const fields = Object.fromEntries(new URLSearchParams(address.split("?")[1]));
  assert.deepEqual(filtersOf(fields), filters);
  assert.deepEqual(untyped(typed(filters)), filters);
  assert.equal(searchLink(filtersOf({ nonsense: "1", text: "" })), "#/audit");
});

test("pages come newest first unless asked otherwise; counts have no order", () => {
  assert.equal(pageQuestion({ text: "a" }).newest_first, "true");
  assert.equal(pageQuestion({ newest_first: "false" }).newest_first, "false");
  assert.deepEqual(question({ text: "a", newest_first: "false" }), { text: "a" });
});

test("a fault of a known field is said there, any other by itself", () => {
  const detail = [{ loc: ["query", "since"], msg: "no time" }, { loc: ["query", "cursor"], msg: "unknown" }];
  assert.deepEqual(faultsOf({ detail }), { fields: { since: "no time" }, rest: ["cursor: unknown"] });
  assert.deepEqual(faultsOf({ detail: "No" }), { fields: {}, rest: ["No"] });
});

test("an event in brief: ids last, nothing that is not there, not too long", () => {
  assert.equal(brief({ message_id: "m", content: "Hi", reason: null }), "content Hi · message_id m");
  assert.equal(brief({ text: "x".repeat(1000) }).length, 160);
  assert.equal(brief("unreadable"), "unreadable");
});

const note = (position, stream, said) => ({ position, stream, payload: { note: said } });

test("notes tell who came, what they heard and how they ended, in whatever order they are read", () => {
  const notes = [
    note(9, "delivery-b.1", { opened: [[1, 900, "cy", "console"]] }),
    note(1, "delivery-a.1", { opened: [[1, 100, "ada", "conversations", {}, 7], [2, 200, "bob", "streams"]], hearing: [[["call-x"], [1, 2]]] }),
    note(2, "delivery-a.2", { written: [[40, 41, [1]]], acknowledged: [[39, [1]]], closed: [[1, 300, 1000]] }),
  ];
  const [cy, bob, ada] = connectionsIn(notes);
  assert.deepEqual([cy.id, cy.isOpen], ["b.1", true]);
  assert.deepEqual([bob.id, bob.isOpen, bob.closed], ["a.2", false, null]); // that run of the server is over
  const { principal, since, hears, written, acknowledged, code } = ada;
  assert.deepEqual({ principal, since, hears, written, acknowledged, code },
    { principal: "ada", since: 7, hears: ["call-x"], written: 40, acknowledged: 39, code: 1000 });
});

test("how far a client is behind has bounds", () => {
  assert.deepEqual(behind({ written: 11, at_most: 24 }, 30), [6, 19]);
  assert.deepEqual(behind({ written: 30, at_most: 31 }, 30), [0, 0]);
});

test("codes that nobody defined still say whether one may come back", () => {
  assert.equal(meaningOf(4600).then, "does not come back");
  assert.equal(meaningOf(4100).then, "may come back");
});

test("a checkpoint is read, signed or not", () => {
  const body = "callboard/e\n3\nAAAA=\nhead ff\ntime 5\n";
  assert.deepEqual(checkpointOf(`${body}\n`), { log: "callboard/e", size: 3, root: "AAAA=", head: "ff", time: 5, isSigned: false });
  assert.equal(checkpointOf(`${body}\n— callboard AAAA\n`).isSigned, true);
  assert.equal(checkpointOf("nonsense"), null);
});

const SCHEMA = {
  type: "object",
  required: ["content", "phase"],
  properties: {
    content: { type: "string", maxLength: 9 },
    phase: { $ref: "#/$defs/Phase" },
    confidence: { anyOf: [{ type: "number" }, { type: "null" }], default: null },
    count: { type: "integer", minimum: 1 },
    loud: { type: "boolean", default: false },
    words: { type: "array", items: { type: "string" } },
  },
  $defs: { Phase: { enum: ["idle", "ended"], description: "for programmers" } },
};

test("a schema becomes fields", () => {
  const kinds = Object.fromEntries(fieldsOf(SCHEMA).map(({ name, kind }) => [name, kind]));
  assert.deepEqual(kinds, { content: "text", phase: "choice", confidence: "number", count: "integer", loud: "boolean", words: "json" });
  const [content, phase] = fieldsOf(SCHEMA);
  assert.deepEqual([content.isRequired, content.most], [true, 9]);
  assert.deepEqual([phase.choices, phase.hint], [["idle", "ended"], ""]);
});

test("what was typed becomes a body of the schema's types, without what was left empty", () => {
  const texts = { content: "Hi", phase: "idle", confidence: "0.5", loud: "false", words: '["a"]', count: "" };
  assert.deepEqual(bodyOf(fieldsOf(SCHEMA), texts), { body: { content: "Hi", phase: "idle", confidence: 0.5, loud: false, words: ["a"] }, faults: {} });
});

test("what cannot be of its type, or is missing, is said at its field", () => {
  const { faults } = bodyOf(fieldsOf(SCHEMA), { content: "", count: "1.5", confidence: "much", words: "[" });
  assert.deepEqual(Object.keys(faults), ["phase", "confidence", "count", "words"]);
});

test("what a server says of a body is said at the field it means", () => {
  const of = (msg) => bodyFaults({ status: 422, detail: [{ loc: ["body", "body"], msg }] }, ["phase"]);
  assert.deepEqual(of("Expected `str`, got `int` - at `$.phase`"), { fields: { phase: "Expected `str`, got `int`" }, rest: [] });
  assert.deepEqual(Object.keys(of("Object missing required field `phase`").fields), ["phase"]);
  assert.equal(of("Expected `str` - at `$.other`").rest.length, 1);
});

test("each act has a key of its own", () => {
  assert.notEqual(newKey(), newKey());
  assert.match(newKey(), /^console-[0-9a-f]{32}$/);
});

test("who joined a stream is listed once, also where no note tells of it", () => {
  const noted = [{ connection: "b.2", streams: [{ stream: "s" }] }];
  const joining = ["b.2", "b.1", "b.1"].map((id) => ({ payload: { connection_id: id }, principal: "ada", time: "T" }));
  const all = withJoined(noted, joining);
  assert.deepEqual(all.map(({ connection }) => connection), ["b.2", "b.1"]);
  assert.deepEqual([all[1].principal, all[1].joined, all[1].dialect, all[1].streams], ["ada", "T", null, []]);
});

test("a stream's state in one word is the board's", () => {
  assert.equal(labelOf("conversation", { phase: "ended" }), "ended");
  assert.equal(labelOf("conversation", { phase: null }), "unopened");
  assert.equal(labelOf("call", { known: true, ended: true, socket: null, response: null }), "ended");
  assert.equal(labelOf("call", { known: true, ended: false, socket: "b.1", response: null }), "listening");
  assert.equal(labelOf("session", { user: "ada", expired: false, open: [], devices: [] }), "idle");
  assert.equal(labelOf("channel", {}), "");
  assert.deepEqual([isOver("session", "expired"), isOver("call", "disconnected"), isOver("channel", "")], [true, false, false]);
});

test("the words found are told apart from the rest, whatever their case and accents", () => {
  const marks = (text, asked) => pieces(text, wanted(asked)).filter(({ isFound }) => isFound).map((piece) => piece.text);
  assert.deepEqual(marks("The Café, a CAFE; decafe", "cafe"), ["Café", "CAFE"]);
  assert.deepEqual(marks("Bergen and berg", "berg*"), ["Bergen", "berg"]);
  assert.deepEqual(marks("a dog, swam. A dog ran", '"dog swam"'), ["dog, swam"]);
  assert.deepEqual(marks("c++ is c", "c++ (("), ["c", "c"]);
  assert.deepEqual(marks("nothing of it", ""), []);
  const text = "İstanbul, ﬁne <b>wind</b>";
  assert.equal(pieces(text, wanted("wind fine")).map((piece) => piece.text).join(""), text);
});

test("what an entry was found for is said where its line does not show it", () => {
  const words = wanted("wind");
  const payload = { content: `${"far ".repeat(60)}wind` };
  assert.deepEqual(reasons({ payload: { a: "wind" }, command: { b: "wind" } }, "a wind", words), { more: null, command: null });
  assert.deepEqual(reasons({ payload: { a: 1 }, command: { said: "the wind" } }, "a 1", words), { more: null, command: "the wind" });
  const { more, command } = reasons({ payload, command: null }, "content far", words);
  assert.match(more, /^….*wind$/);
  assert.equal(command, null);
  assert.deepEqual(reasons({ payload, command: null }, "content far", []), { more: null, command: null });
});
