// The socket of the page on a scripted WebSocket, its addresses, and how it writes times and numbers.

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { pathToFileURL } from "node:url";

const load = (name) => import(pathToFileURL(`${process.env.CONSOLE_MODULES}/${name}.js`));
const { Socket } = await load("socket");
const { routeOf } = await load("route");
const format = await load("format");
const { spelled, visible } = await load("visible");

/** A WebSocket whose server is the test. */
class Scripted {
  static OPEN = 1;
  static opened = [];
  sent = [];

  constructor(url, protocols) {
    Object.assign(this, { url, protocols });
    Scripted.opened.push(this);
  }
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close() {
    this.isClosed = true;
  }
  says(frame) {
    this.onmessage({ data: JSON.stringify(frame) });
  }
  ends(code, reason = "") {
    this.onclose({ code, reason });
  }
}
globalThis.WebSocket = Scripted;

/** An open socket and its server's end, with clocks that go when told. */
function opened(t, { token = null, isOpen = true } = {}) {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  t.after(() => mock.timers.reset());
  Scripted.opened = [];
  const socket = new Socket({ url: () => "ws://x/console/socket", token: () => token, failure: (text) => new Error(text) });
  socket.connect();
  if (isOpen) newest().says({ type: "hello", epoch: "e" });
  return socket;
}
const newest = () => Scripted.opened.at(-1);

test("the token goes as a subprotocol, and none where there is none", (t) => {
  opened(t, { token: "abc" });
  assert.deepEqual(newest().protocols, ["bearer", "abc"]);
  mock.timers.reset();
  opened(t);
  assert.deepEqual(newest().protocols, []);
});

test("nothing is sent on a connection that is closing", async (t) => {
  const socket = opened(t);
  newest().readyState = 2;
  socket.tell({ type: "unboard" });
  await assert.rejects(socket.ask({ type: "board" }), /Not connected/);
  assert.deepEqual(newest().sent, []);
});

test("an ask is answered by its id, whatever comes in between", async (t) => {
  const socket = opened(t);
  const [one, other] = [socket.ask({ type: "state", stream: "s", at: 1 }), socket.ask({ type: "state", stream: "s", at: 2 })];
  const [first, second] = newest().sent;
  newest().says({ type: "state", id: second.id, at: 2 });
  newest().says({ type: "error", id: first.id, code: "not_found", message: "There is no such event" });
  assert.equal((await other).at, 2);
  await assert.rejects(one, { message: "There is no such event", code: "not_found" });
});

test("a page gives its records, and then its end; what is of another stream is not of it", async (t) => {
  const socket = opened(t);
  const records = [];
  const page = socket.ask({ type: "page", stream: "s", after: 2, until: 4 }, (record) => records.push(record.version));
  const { id } = newest().sent[0];
  newest().says({ type: "page", id, stream: "s", after: 2 });
  for (const [stream, version] of [["s", 3], ["t", 4], ["s", 9], ["s", 4]]) newest().says({ type: "record", stream, version });
  newest().says({ type: "page_end", id });
  assert.equal((await page).type, "page_end");
  assert.deepEqual(records, [3, 4]);
});

test("who is not answered within 15 s is told so; a page may take longer while its records come", async (t) => {
  const socket = opened(t);
  const [silent, page] = [socket.ask({ type: "board" }), socket.ask({ type: "page", stream: "s", after: 0, until: 9 })];
  const rejected = assert.rejects(silent, /15 s/);
  mock.timers.tick(10_000);
  newest().says({ type: "record", stream: "s", version: 1 });
  mock.timers.tick(10_000);
  await rejected;
  newest().says({ type: "page_end", id: newest().sent[1].id });
  assert.equal((await page).type, "page_end");
});

test("what is asked while the connection is lost, and what was asked before, is rejected", async (t) => {
  const socket = opened(t);
  const asked = assert.rejects(socket.ask({ type: "board" }), /lost/);
  newest().ends(1006);
  await asked;
  await assert.rejects(socket.ask({ type: "board" }), /Not connected/);
});

test("it comes back by itself, later each time, and asks as soon as it is open again", (t) => {
  const socket = opened(t);
  const opens = [];
  socket.whenOpen((hello) => opens.push(hello.epoch));
  newest().ends(1012);
  const delays = [];
  for (let turn = 0; turn < 9; turn++) {
    assert.equal(socket.status, "lost");
    delays.push(socket.retryAt - Date.now());
    mock.timers.tick(delays.at(-1) + 1);
    assert.equal(socket.status, "connecting");
    newest().ends(1006);
  }
  delays.forEach((delay, turn) => {
    const longest = Math.min(30_000, 500 * 2 ** turn);
    assert.ok(delay >= longest / 2 && delay <= longest, `${delay} of ${longest}`);
  });
  mock.timers.tick(30_001);
  newest().says({ type: "hello", epoch: "f" });
  assert.equal(socket.status, "open");
  assert.deepEqual(opens, ["e", "f"]);
  newest().ends(1006);
  assert.ok(socket.retryAt - Date.now() <= 500, "who was let in begins anew");
});

for (const code of [1008, 4401, 4500, 4999]) {
  test(`after ${code} it stays away until it is told to come`, (t) => {
    const socket = opened(t);
    newest().ends(code, "No");
    mock.timers.tick(120_000);
    assert.deepEqual([socket.status, socket.reason, Scripted.opened.length], ["refused", "No", 1]);
    socket.connect();
    assert.equal(socket.status, "connecting");
  });
}

test("what a connection says that was given up is not heard", (t) => {
  const socket = opened(t);
  const old = newest();
  socket.connect();
  old.says({ type: "hello", epoch: "old" });
  old.ends(1006);
  assert.equal(socket.status, "connecting");
  assert.ok(old.isClosed);
});

test("what was said too fast is said again, but not what is being answered", (t) => {
  const socket = opened(t);
  const ignore = () => {};
  socket.ask({ type: "state", stream: "s", at: 1 }).catch(ignore);
  socket.ask({ type: "page", stream: "s", after: 0, until: 9 }).catch(ignore);
  const [state, page] = newest().sent;
  newest().says({ type: "page", id: page.id });
  newest().says({ type: "error", id: null, code: "rate_limited", message: "Too many messages", retry_after: 0.5 });
  mock.timers.tick(501);
  assert.deepEqual(newest().sent.slice(2), [state]);
});

test("what was taken back too fast is taken back again, unless it is wanted again", (t) => {
  const socket = opened(t);
  socket.tell({ type: "unwatch", stream: "s" });
  socket.tell({ type: "unwatch", stream: "t" });
  const watched = socket.ask({ type: "watch", stream: "s" });
  newest().says({ type: "error", id: null, code: "rate_limited", message: "Too many messages", retry_after: 0.5 });
  const [, of, wish] = newest().sent;
  mock.timers.tick(501);
  assert.deepEqual(newest().sent.slice(3), [of, wish]);
  const taken = assert.rejects(watched, /not wanted/);
  socket.tell({ type: "unwatch", stream: "s" });
  return taken;
});

test("an ask that nothing came after tells that the connection is dead; one that others were answered after does not", async (t) => {
  const socket = opened(t);
  const late = assert.rejects(socket.ask({ type: "board" }), /15 s/);
  mock.timers.tick(1000);
  newest().says({ type: "event", position: 1 });
  mock.timers.tick(14_001);
  await late;
  assert.equal(socket.status, "open");
  const [silent, other] = [socket.ask({ type: "board" }), socket.ask({ type: "state", stream: "s", at: 1 })];
  const rejected = [assert.rejects(silent, /15 s/), assert.rejects(other, /15 s|lost/)];
  mock.timers.tick(15_001);
  await Promise.all(rejected);
  assert.deepEqual([socket.status, socket.reason, Scripted.opened[0].isClosed], ["lost", "The server was silent", true]);
});

test("after 30 s of silence it is asked whether anybody is there, and a connection that does not say is lost", (t) => {
  const socket = opened(t);
  const asked = () => Scripted.opened[0].sent;
  mock.timers.tick(29_000);
  newest().says({ type: "event", position: 1 });
  mock.timers.tick(29_000);
  assert.deepEqual(asked(), []);
  mock.timers.tick(1001);
  assert.deepEqual(asked().map(({ type }) => type), ["unwatch"]);
  newest().says({ type: "untuned", id: asked()[0].id, topic: "session-nobody" });
  mock.timers.tick(30_001);
  assert.equal(socket.status, "open");
  mock.timers.tick(15_001);
  assert.deepEqual([asked().length, socket.status], [2, "lost"]);
});

test("a connection that is not greeted is given up, and tried again", (t) => {
  const socket = opened(t, { isOpen: false });
  mock.timers.tick(30_001);
  assert.deepEqual([socket.status, newest().isClosed], ["lost", true]);
  mock.timers.tick(501);
  assert.deepEqual([socket.status, Scripted.opened.length], ["connecting", 2]);
});

test("after 1012 nothing that was known of streams holds, however often it was tried since; after others it does", (t) => {
  const socket = opened(t);
  const heard = [];
  socket.on("hello", ({ isAnew }) => heard.push(isAnew));
  const back = (...codes) => {
    for (const code of codes) {
      newest().ends(code);
      mock.timers.tick(30_001 / 2);
    }
    newest().says({ type: "hello", epoch: "e" });
  };
  back(1012, 1006);
  back(1006);
  assert.deepEqual(heard, [true, false]);
});

test("who no longer listens hears nothing", (t) => {
  const socket = opened(t);
  const heard = [];
  const off = socket.on("event", ({ position }) => heard.push(position));
  newest().says({ type: "event", position: 1 });
  off();
  newest().says({ type: "event", position: 2 });
  assert.deepEqual(heard, [1]);
});

test("an address names a view, and a stream's name may hold anything", () => {
  assert.equal(routeOf("").name, "board");
  assert.equal(routeOf("#/nowhere").name, "board");
  assert.deepEqual(routeOf("#conversation-a@12").props, { stream: "conversation-a", at: 12 });
  assert.deepEqual(routeOf("#conversation-a").props, { stream: "conversation-a", at: null });
  assert.equal(routeOf("#/clients/a%2Fb").props.connection, "a/b");
  assert.equal(routeOf("#/audit?text=a%3Fb").props.filters.get("text"), "a?b");
  assert.equal(routeOf("#100%").props.stream, "100%");
  for (const stream of ["channel-a@b", "channel-a@7", "channel-/x?y#z %<b>", "channel-ü"]) {
    assert.deepEqual(routeOf(format.streamHref(stream)).props, { stream, at: null });
    assert.deepEqual(routeOf(format.streamHref(stream, 3)).props, { stream, at: 3 });
  }
});

test("what turns the direction of a text, or cannot be seen in it, is written out; all that people write stays", () => {
  assert.equal(spelled("session \u202egnp.exe\u202c\u200b"), "session ⟪U+202E⟫gnp.exe⟪U+202C⟫⟪U+200B⟫");
  assert.deepEqual(["\u0000", "\u061c", "\ufeff", "\u{e0041}"].map(spelled), ["⟪U+0000⟫", "⟪U+061C⟫", "⟪U+FEFF⟫", "⟪U+E0041⟫"]);
  for (const text of ["a\tb\r\nc", "שלום عربى", "👩‍👩‍👧 می‌خواهم", "", null, 7]) assert.deepEqual([spelled(text), visible(text)], [text, text]);
  const [before, mark, behind] = visible("a\u202eb");
  assert.deepEqual([before, mark.props.class, mark.props.children, behind], ["a", "unseen", "⟪U+202E⟫", "b"]);
});

test("within a stream one stays in one place", () => {
  assert.equal(routeOf("#s@1").place, routeOf("#s@2").place);
  assert.notEqual(routeOf("#s@1").place, routeOf("#t@1").place);
});

test("lengths of time, numbers and ids are written as people read them", () => {
  const { duration, bytes, shortId, ago, count, eventPlace, micros } = format;
  assert.deepEqual([840, 12_300, 3_400_000, 125_000_000, 3_600_000_000, 180_000_000_000].map(duration),
    ["840 µs", "12.3 ms", "3.4 s", "2 min 5 s", "1 h", "2 d 2 h"]);
  assert.deepEqual([bytes(999), bytes(1_500_000)], ["999 B", "1.5 MB"]);
  assert.deepEqual([shortId("short"), shortId("0123456789abcdef", 9)], ["short", "0123…cdef"]);
  assert.deepEqual([ago(0, 65_000_000), ago(4_000_000, 0), ago(0, 10)], ["1 min ago", "in 4 s", "now"]);
  assert.deepEqual([count(1, "event"), count(1200, "event")], ["1 event", "1,200 events"]);
  assert.deepEqual([eventPlace("channel-a@b@7"), eventPlace("nothing")], [["channel-a@b", 7], null]);
  assert.equal(micros("2025-07-03T14:03:07.123Z"), 1751551387123000);
});
