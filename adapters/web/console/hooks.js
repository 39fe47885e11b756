// Preact with htm and its hooks, as vendored, and the hooks it lacks.

import { useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { onZone, zoneLabel } from "./zone.js";

export {
  Component, createContext, h, html, render, useCallback, useContext, useEffect, useErrorBoundary, useLayoutEffect, useMemo,
  useReducer, useRef, useState,
} from "./vendor/htm-preact.js";

let ids = 0;

/** An id for one element of this page. */
export function useId() {
  const id = useRef(null);
  id.current ??= `u${++ids}`;
  return id.current;
}

/** The status of the socket, and of each change of it. */
export function useSocketStatus(socket) {
  const [status, set] = useState(socket.status);
  useEffect(() => {
    set(socket.status); // it may have changed since this was drawn
    return socket.onStatus(set);
  }, [socket]);
  return status;
}

/** The zone times are shown in; whoever shows some is drawn again when it is another one. */
export function useZone() {
  const [zone, set] = useState(zoneLabel());
  useEffect(() => {
    const follow = () => set(zoneLabel());
    follow();
    return onZone(follow);
  }, []);
  return zone;
}
