// What is pure around the views: zones, names that are looked for, when a lost socket hurries, and what sleeps.

import assert from "node:assert/strict";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

process.env.TZ = "America/New_York"; // five hours behind UTC, four in summer
const storage = new Map();
globalThis.localStorage = { getItem: (key) => storage.get(key) ?? null, setItem: (key, value) => storage.set(key, value) };
globalThis.document = { addEventListener: () => {}, hidden: false };

const load = (name) => import(pathToFileURL(`${process.env.CONSOLE_MODULES}/${name}.js`));
const zone = await load("zone");
const { clock, exactly, moment } = await load("format");
const { onlyOne, wanted } = await load("find");
const { Returning } = await load("returning");

const WINTER = Date.parse("2026-01-02T03:04:05.006Z") * 1000;
const SUMMER = Date.parse("2026-07-02T03:04:05.006Z") * 1000;

test("times are in the reader's zone, and in UTC for who wants that; both say so", (t) => {
  t.after(() => zone.showUtc(false));
  assert.deepEqual([clock(WINTER), clock(SUMMER), moment(WINTER)], ["22:04:05", "23:04:05", "Jan 1, 2026 22:04:05.006"]);
  assert.deepEqual([zone.zoneLabel(WINTER / 1000), zone.zoneLabel(SUMMER / 1000)], ["UTC−5", "UTC−4"]);
  assert.equal(exactly(SUMMER), "Jul 1, 2026 23:04:05.006 UTC−4 · 2026-07-02T03:04:05.006Z");
  let told = 0;
  t.after(zone.onZone(() => (told += 1)));
  zone.showUtc(true);
  assert.deepEqual([clock(SUMMER), moment(WINTER), zone.zoneLabel(), told], ["03:04:05", "Jan 2, 2026 03:04:05.006", "UTC", 1]);
});

test("a zone may be ahead by halves of hours", (t) => {
  process.env.TZ = "Asia/Kolkata";
  t.after(() => (process.env.TZ = "America/New_York"));
  assert.deepEqual([zone.zoneLabel(WINTER / 1000), clock(WINTER)], ["UTC+5:30", "08:34:05"]);
});

test("what was typed is a name or a part of one, with an event or without, also where its middle was left out", () => {
  assert.deepEqual(wanted(" conversation-a@7 "), { name: "conversation-a", at: 7 });
  assert.deepEqual(wanted("channel-a@b"), { name: "channel-a@b", at: null });
  assert.deepEqual(wanted("01a…29c6fca5a3d4@3"), { name: "29c6fca5a3d4", at: 3 });
});

const found = (...streams) => ({ streams: streams.map((stream) => ({ stream })), truncated: false });

test("one goes to the only stream there is, to the one of just that name, and to a whole name that is not there yet", () => {
  assert.equal(onlyOne("5a3d4", found("conversation-01-5a3d4")), "conversation-01-5a3d4");
  assert.equal(onlyOne("call-demo", found("call-demo-2", "call-demo")), "call-demo");
  assert.equal(onlyOne("call-new", found()), "call-new");
});

test("one chooses where there are several, or may be, and gets nowhere with what nothing is called", () => {
  assert.equal(onlyOne("demo", found("call-demo", "session-demo")), null);
  assert.equal(onlyOne("demo", { ...found("call-demo"), truncated: true }), null);
  assert.equal(onlyOne("demo", found()), null);
  assert.equal(onlyOne("call-", found()), null);
});

/** A lost socket that counts its attempts, and a clock. */
function lost() {
  const socket = { status: "lost", attempts: 0, onStatus: (watcher) => (socket.tell = watcher), connect: () => (socket.attempts += 1) };
  const clockwork = { ms: 0 };
  return { socket, clockwork, returning: new Returning(socket, () => clockwork.ms) };
}

test("an answer while the socket is lost makes it try at once, and each time in vain less often", () => {
  const { socket, clockwork, returning } = lost();
  returning.answered();
  assert.equal(socket.attempts, 1);
  for (clockwork.ms = 100; clockwork.ms <= 60_000; clockwork.ms += 100) returning.answered();
  assert.ok(socket.attempts >= 4 && socket.attempts <= 6, `${socket.attempts} attempts in a minute`);
  socket.tell("open");
  returning.answered();
  assert.ok(socket.attempts >= 5, "who was let in begins anew");
});

test("nothing hurries a socket that is open, on its way or refused; who looks again is reason enough for a lost one", () => {
  const { socket, returning } = lost();
  for (const status of ["open", "connecting", "refused"]) {
    socket.status = status;
    returning.answered();
    returning.wanted();
  }
  assert.equal(socket.attempts, 0);
  socket.status = "lost";
  returning.wanted();
  returning.wanted();
  assert.equal(socket.attempts, 2);
});

test("a time is typed in the zone times are shown in", async (t) => {
  const { toTyped, toUtc } = await load("audit/times");
  const today = new Date("2026-11-22T02:00:00Z"); // still the 21st in New York
  t.after(() => zone.showUtc(false));
  assert.deepEqual([toUtc("14:03:07.25", today), toTyped("2026-11-21T13:03:07Z")], ["2026-11-21T19:03:07.25Z", "2026-11-21 08:03:07"]);
  zone.showUtc(true);
  assert.deepEqual([toUtc("14:03:07.25", today), toTyped("2026-11-21T13:03:07Z")], ["2026-11-22T14:03:07.25Z", "2026-11-21 13:03:07"]);
});
