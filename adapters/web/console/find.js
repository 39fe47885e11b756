// Streams by what people have of their names: the whole of it, the id, or its end as it was copied from somewhere.

import { get } from "./server.js";

const PREFIX = /^(conversation|call|session|channel|audit|delivery)-./;
const MOST = 10;

/** What was typed: the `name` looked for, and the event it was given with (`stream@7`), or null. */
export function wanted(text) {
  const divide = /^(.+)@(\d{1,15})$/.exec(text.trim());
  const [name, at] = divide ? [divide[1], Number(divide[2])] : [text.trim(), null];
  // Where a name was cut in its middle its longest part says most.
  const part = name.split("…").reduce((longest, one) => (one.length > longest.length ? one : longest), "");
  return { name: part, at };
}

/** The streams with that in their names, as the server tells them: {streams, truncated}. */
export const streamsLike = (name, signal = null) => get("/api/console/streams", { q: name, limit: MOST }, signal);

/** Where to go for what was found: a stream, or null where somebody has to choose, or nothing is like that. */
export function onlyOne(name, { streams, truncated }) {
  if (streams.some(({ stream }) => stream === name)) return name;
  if (streams.length === 1 && !truncated) return streams[0].stream;
  return streams.length === 0 && isWhole(name) ? name : null; // it may not be there yet
}

/** Whether a name says which kind of stream it is of. */
export const isWhole = (name) => PREFIX.test(name);
