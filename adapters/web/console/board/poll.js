// The server's board, asked for as often as the most impatient viewer wants it, and not while nobody looks.

import { useEffect, useState } from "../hooks.js";
import { get } from "../server.js";

const PATH = "/api/console/board";
const viewers = new Map();
let timer = null;
let asking = null;
let asked = 0;

/** What is known: `board` is the last answer (null before it), `error` what the last question came to, null where it was answered. */
let known = { board: null, error: null };

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
  asked = 0;
  schedule();
}

function schedule() {
  clearTimeout(timer);
  if (!viewers.size || document.hidden || asking) return;
  const interval = Math.min(...viewers.values());
  timer = setTimeout(ask, Math.max(0, asked + interval - performance.now()));
}

async function ask() {
  asked = performance.now();
  asking = get(PATH);
  try {
    known = { board: await asking, error: null };
  } catch (error) {
    known = { board: known.board, error };
  }
  asking = null;
  for (const listener of [...viewers.keys()]) listener(known);
  schedule();
}

document.addEventListener("visibilitychange", schedule);
