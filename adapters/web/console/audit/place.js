// Where one was among the results of a question, for who comes back to them from a stream. Kept for this tab.

import { routeOf } from "../route.js";

const key = (address) => `callboard.place ${address}`;

/** One leaves the results: `place` is {top, cursors}. It is kept only where one goes on to a stream. */
export function leave(address, place) {
  if (routeOf(location.hash).name === "stream") sessionStorage.setItem(key(address), JSON.stringify(place));
}

/** Where one was when one went to a stream from there; once, null else. */
export function comeBack(address) {
  const text = sessionStorage.getItem(key(address));
  sessionStorage.removeItem(key(address));
  try {
    return text && JSON.parse(text);
  } catch {
    return null; // whoever may write there wrote something else
  }
}
