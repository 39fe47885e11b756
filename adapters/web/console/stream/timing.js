// Hooks for what is not to happen at once, and for what the window is like.

import { html, useEffect, useRef, useState } from "../ui.js";
import { category, number } from "../format.js";

/** `value` as it was when it last stayed the same for `delay` ms. */
export function useSettled(value, delay) {
  const [settled, settle] = useState(value);
  useEffect(() => {
    if (settled === value) return undefined;
    const timer = setTimeout(() => settle(value), delay);
    return () => clearTimeout(timer);
  }, [value, delay]);
  return settled;
}

/** The version to ask the server about, null for none, and a button where asking is left to who looks: each question is
 * recorded in the audit stream of the day, so who goes along with that one would ask for ever, about the own questions. */
export function useAsked(stream, { cursor, isFollowing }, pause, what) {
  const settled = useSettled(cursor, pause);
  const [wished, wish] = useState(null);
  if (category(stream) !== "audit" || !isFollowing) return { at: settled, isHeld: false, button: null };
  const button = html`<p><button type="button" disabled=${wished === cursor} onClick=${() => wish(cursor)}>${what} of event ${number(cursor)}</button>
    <span class="muted"> Asking is recorded here, so it is not done by itself.</span></p>`;
  return { at: wished, isHeld: true, button };
}

/** Whether a media query matches. */
export function useMedia(query) {
  const [matches, set] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const list = matchMedia(query);
    const follow = () => set(list.matches);
    follow();
    list.addEventListener("change", follow);
    return () => list.removeEventListener("change", follow);
  }, [query]);
  return matches;
}

/** A function to call as often as one likes: the component is rendered again once for each frame of the screen. */
export function useRedraw() {
  const [, set] = useState(0);
  const asked = useRef({ frame: 0 }).current;
  useEffect(() => () => cancelAnimationFrame(asked.frame), []);
  return () => {
    asked.frame ||= requestAnimationFrame(() => {
      asked.frame = 0;
      set((count) => count + 1);
    });
  };
}

/** While `isRunning`, `step(µs since the last one)` for each frame of the screen. */
export function useFrames(isRunning, step) {
  const latest = useRef(step);
  latest.current = step;
  useEffect(() => {
    if (!isRunning) return undefined;
    let before = performance.now();
    let frame = requestAnimationFrame(function again(now) {
      latest.current(Math.max(0, now - before) * 1000);
      before = now;
      frame = requestAnimationFrame(again);
    });
    return () => cancelAnimationFrame(frame);
  }, [isRunning]);
}
