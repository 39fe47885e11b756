// Preact with htm and its hooks, as vendored, and the hooks it lacks.

import { useRef } from "./vendor/htm-preact.js";

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
