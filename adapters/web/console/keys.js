// Keys of the whole page: one listener, whoever is there says which keys it knows, and `?` lists them.

import { useEffect, useRef } from "./hooks.js";

const SEQUENCE = 1200;
const known = new Set();
let pending = "";
let since = 0;

/**
 * While the caller is shown, these keys do that: [{keys: "g b", does: "Go to the board", run}]. A sequence is written with
 * spaces; keys are names of KeyboardEvent.key. What has no `run` is only told of. Nothing happens while somebody types, or with Ctrl, Alt or Meta.
 */
export function useKeys(bindings) {
  const entry = useRef({ bindings });
  entry.current.bindings = bindings;
  useEffect(() => {
    const mine = entry.current;
    known.add(mine);
    return () => known.delete(mine);
  }, []);
}

/** What can be pressed now: [{keys, does}]. */
export const allKeys = () => [...known].flatMap(({ bindings }) => bindings);

const isTyping = (target) => target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName) || target.closest("dialog");

const isSearch = (target) => target.matches?.("input[type=search]") && !target.closest("dialog");

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.defaultPrevented && isSearch(event.target)) {
    event.preventDefault(); // what was typed stays
    event.target.blur();
    return;
  }
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || isTyping(event.target)) return;
  const pressed = performance.now() - since < SEQUENCE && pending ? `${pending} ${event.key}` : event.key;
  const bindings = allKeys();
  // Who was added last is the innermost: a view goes before the page.
  const found = bindings.findLast(({ keys, run }) => run && keys === pressed);
  pending = bindings.some(({ keys }) => keys.startsWith(`${pressed} `)) ? pressed : "";
  since = performance.now();
  if (!found) return;
  event.preventDefault();
  found.run(event);
});
