// The server's board, asked for as often as the most impatient viewer wants it, and not while nobody looks.

import { useEffect, useState } from "../hooks.js";
import { now } from "../format.js";
import { Returning } from "../returning.js";
import { get, socket } from "../server.js";

const PATH = "/api/console/board";
const LONGEST = 4000;
const viewers = new Map();
const returning = new Returning(socket);
let timer = null;
let isAsking = false;
let asked = -Infinity;
let failures = 0;

/** What is known: the last `board` (null before it), `since` when it was answered (µs), and the `error` of the last question,
 * if any; `isDoubted`: the socket was lost since then, and it is being asked whether the server is there. */
let known = { board: null, since: null, error: null, isDoubted: false };

/** Hear each answer and each failure, with `interval` ms or less between them. Answers the function that stops hearing. */
export function followBoard(interval, listener) {
  viewers.set(listener, interval);
  schedule();
  return () => {
    viewers.delete(listener);
    schedule();
  };
}

/** As `followBoard`, for a component. */
export function useBoard(interval) {
  const [shown, show] = useState(known);
  useEffect(() => followBoard(interval, show), [interval]);
  return shown;
}

/** Ask now. */
export function refreshBoard() {
  asked = -Infinity;
  schedule();
}

function schedule() {
  clearTimeout(timer);
  if (!viewers.size || document.hidden || isAsking) return;
  const wanted = Math.min(...viewers.values());
  const interval = failures ? Math.max(wanted, Math.min(LONGEST, 500 * 2 ** failures)) : wanted;
  timer = setTimeout(ask, Math.max(0, asked + interval - performance.now()));
}

async function ask() {
  asked = performance.now();
  isAsking = true;
  try {
    known = { board: await get(PATH), since: now(), error: null, isDoubted: false };
    failures = 0;
    if (known.board.vitals.ready) returning.answered();
  } catch (error) {
    known = { ...known, error, isDoubted: false };
    failures += 1;
  }
  isAsking = false;
  tell();
  schedule();
}

function tell() {
  for (const listener of [...viewers.keys()]) listener(known);
}

function look() {
  schedule();
  if (!document.hidden) returning.wanted();
}

document.addEventListener("visibilitychange", look);
addEventListener("online", look);
socket.onStatus((status) => {
  if (status !== "lost") return;
  known = { ...known, isDoubted: true };
  tell();
  refreshBoard();
});
socket.on("hello", () => failures && refreshBoard());
