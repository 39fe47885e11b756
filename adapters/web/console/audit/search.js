// Asking for pages and counts. Every question is on record at the server, so nothing is asked before somebody asks.

import { get } from "../server.js";
import { useEffect, useRef, useState } from "../ui.js";
import { pageQuestion, question } from "./filters.js";

const LIMIT = 50;
const MOST_EMPTY = 200; // pages without an event that are passed over before one is asked whether to go on
const COUNTED = 100_000;

const BEGIN = { page: null, error: null, busy: true, looked: 0, cursors: [null] };

/**
 * The page of results one is at: `{page, error, busy, looked, number, next, back, retry}`. `asked` null asks nothing;
 * another `key` asks anew, from the first page, or from where
 * the last of `begin` leads.
 */
export function useSearch(asked, key, begin = [null]) {
  const [state, setState] = useState(BEGIN);
  const running = useRef(null);
  const load = async (cursors) => {
    running.current?.abort();
    const turn = (running.current = new AbortController());
    const tell = (more) => !turn.signal.aborted && setState((before) => ({ ...before, ...more }));
    tell({ busy: true, error: null, looked: 0, wanted: cursors });
    try {
      const page = await firstWithEvents(asked, cursors.at(-1), turn.signal, (looked) => tell({ looked }));
      tell({ page, cursors, busy: false });
    } catch (error) {
      tell({ error, busy: false });
    }
  };
  useEffect(() => {
    setState(BEGIN);
    if (asked) load(begin);
    return () => running.current?.abort();
  }, [key]);
  return {
    ...state,
    number: state.cursors.length,
    next: () => state.busy || load([...state.cursors, state.page.next_cursor]),
    back: () => state.busy || load(state.cursors.slice(0, -1)),
    retry: () => load(state.wanted ?? [null]),
  };
}

/** A page may have no events and yet others behind it, where conditions seldom meet. */
async function firstWithEvents(asked, cursor, signal, onLook) {
  for (let looked = 1; ; looked++) {
    const query = { ...pageQuestion(asked), limit: LIMIT, cursor };
    const page = await get("/api/audit/events", query, signal);
    if (page.entries.length || !page.next_cursor || looked === MOST_EMPTY) return page;
    cursor = page.next_cursor;
    onLook(looked);
  }
}

/** How many there are: `{answer, error}`, both null until then. */
export function useCount(asked, key) {
  const [counted, setCounted] = useState({ answer: null, error: null });
  useEffect(() => {
    setCounted({ answer: null, error: null });
    if (!asked) return undefined;
    const turn = new AbortController();
    const tell = (told) => !turn.signal.aborted && setCounted(told);
    get("/api/audit/events/count", { ...question(asked), at_most: COUNTED }, turn.signal).then(
      (answer) => tell({ answer, error: null }),
      (error) => tell({ answer: null, error }),
    );
    return () => turn.abort();
  }, [key]);
  return counted;
}
