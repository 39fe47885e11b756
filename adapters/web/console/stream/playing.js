// Going through a stream in its own time, with silences cut.

import { LONGEST_SILENCE } from "./outline.js";

export const SPEEDS = [0.5, 1, 2, 5, 20];

/** Where one is who was at `cursor` with `credit` µs of time not used yet, after `elapsed` µs more: `{cursor, credit}`. */
export function advance(outline, cursor, credit, elapsed) {
  let left = credit + elapsed;
  let at = cursor;
  while (at < outline.version) {
    const wait = Math.min(outline.silence(at + 1), LONGEST_SILENCE);
    if (wait > left) return { cursor: at, credit: left };
    left -= wait;
    at += 1;
  }
  return { cursor: at, credit: 0 };
}
