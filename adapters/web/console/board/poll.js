// The server's board, asked for as often as the most impatient viewer wants it, and not while nobody looks.

import { useEffect, useState } from "../hooks.js";
import { now } from "../format.js";
import { get, socket } from "../server.js";

const PATH = "/api/console/board";
const LONGEST = 10_000;
const viewers = new Map();
let timer = null;
let isAsking = false;
let asked = -Infinity;
let failures = 0;

/** What is known: the last `board` (null before it), `since` when it was answered (µs), and the `error` of the last question, if any. */
let known = { board: null, since: null, error: null };

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
    known = { board: await get(PATH), since: now(), error: null };
    failures = 0;
  } catch (error) {
    known = { ...known, error };
    failures += 1;
  }
  isAsking = false;
  for (const listener of [...viewers.keys()]) listener(known);
  schedule();
}

document.addEventListener("visibilitychange", schedule);
socket.on("hello", () => failures && refreshBoard());
