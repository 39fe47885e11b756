// What is typed into an act and not sent yet: it outlives its dialog, for one stream and act, but not the page.

import { useState } from "../hooks.js";

const kept = new Map();

const place = (stream, act) => `${stream}\n${act}`;

/** A state that is found again when the act is opened again, until it is sent or given up: [value, set]. */
export function useDraft(stream, act, initial) {
  const [value, setValue] = useState(() => kept.get(place(stream, act)) ?? initial);
  const set = (next) => {
    kept.set(place(stream, act), next);
    setValue(next);
  };
  return [value, set];
}

/** It was sent, or is given up: all acts that begin so. */
export function dropDrafts(stream, act) {
  for (const key of kept.keys()) if (key.startsWith(place(stream, act))) kept.delete(key);
}

/** Somebody else may come. */
export const dropAll = () => kept.clear();
