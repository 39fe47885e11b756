// The table of all that is live. Only the rows in sight are in the document; the page's own scrolling moves them.

import { Empty, html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../ui.js";
import { link } from "../audit/address.js";
import { useNarrow } from "./fold.js";
import { COLUMNS, FIRST_WISH, ordered, sortedBy } from "./order.js";
import { Row } from "./row.js";

const BEYOND = 6;
const HEIGHT = { wide: 34, narrow: 64 }; // as in board.css

/** The rows that `wish` asks for, in its order; `onWish` gets another wish. */
export function Table({ live, wish, onWish }) {
  const body = useRef(null);
  const held = useRef(false);
  const [, draw] = useState(0);
  useEffect(() => live.onChange(() => draw((before) => before + 1)), [live]);
  const shown = useOrder(live, wish, held);
  const height = useNarrow() ? HEIGHT.narrow : HEIGHT.wide;
  const [from, until] = useSight(body, shown.length, height);
  useHeldOrder(body, held);
  const rows = shown.slice(from, until).map((stream) => live.rows.get(stream));
  if (!shown.length) return html`<${Nothing} onWish=${onWish} wish=${wish} />`;
  return html`
    <table class="board" role="table" aria-label="Live streams" aria-rowcount=${shown.length + 1}>
      <thead role="rowgroup"><tr role="row" aria-rowindex="1">${COLUMNS.map((column) => html`
        <th role="columnheader" key=${column.id} scope="col" class=${`cell-${column.id} ${column.isNumber ? "number" : ""}`}
          aria-sort=${wish.by === column.id ? wish.direction : undefined}>
          <button type="button" class="quiet" onClick=${() => onWish(sortedBy(wish, column.id))}>
            ${column.label}<span aria-hidden="true">${wish.by !== column.id ? "" : wish.direction === "ascending" ? " ▴" : " ▾"}</span>
          </button>
        </th>`)}</tr></thead>
      <tbody role="rowgroup" ref=${body} onClick=${openRow} onKeyDown=${moveFocus}>
        <${Space} height=${from * height} />
        ${rows.map((row, index) => row && html`<${Row} key=${row.stream} row=${row} index=${from + index} />`)}
        <${Space} height=${(shown.length - until) * height} />
      </tbody>
    </table>`;
}

const Space = ({ height }) => html`<tr role="presentation" class="space"><td role="presentation" style=${{ height: `${height}px` }}></td></tr>`;

const isFiltered = ({ text, kind, label }) => Boolean(text || kind || label);

function Nothing({ wish, onWish }) {
  if (!isFiltered(wish)) return html`<${Empty} title="Nothing is live now">Conversations, sessions and calls appear here as soon as somebody talks to one.</${Empty}>`;
  const clear = () => onWish({ ...wish, text: FIRST_WISH.text, kind: FIRST_WISH.kind, label: FIRST_WISH.label });
  const said = wish.text.trim();
  return html`
    <${Empty} title="Nothing live is like that">
      ${said && html`<p><a href=${link("#/audit", { text: said })}>Search the whole log for “${said}”</a></p>`}
      <button type="button" onClick=${clear}>Show everything</button>
    </${Empty}>`;
}

/** The order, made anew once a second and when the wish changes; while held, rows only come and go. */
function useOrder(live, wish, held) {
  const last = useRef({ wish: null, order: [] });
  return useMemo(() => {
    const fresh = ordered(live.rows.all(), wish);
    const { wish: before, order } = last.current;
    last.current = { wish, order: before === wish && held.current ? kept(order, fresh) : fresh };
    return last.current.order;
  }, [live.polled, wish]);
}

function kept(order, fresh) {
  const wanted = new Set(fresh);
  const known = new Set(order);
  return [...order.filter((stream) => wanted.has(stream)), ...fresh.filter((stream) => !known.has(stream))];
}

/** The order stays while somebody points at a row or is in one by keyboard: nobody hits what jumps away. */
function useHeldOrder(body, held) {
  useEffect(() => {
    const timer = setInterval(() => {
      const rows = body.current;
      held.current = Boolean(rows) && (rows.contains(document.activeElement) || (matchMedia("(hover: hover)").matches && rows.matches(":hover")));
    }, 200);
    return () => clearInterval(timer);
  }, []);
}

/** The indexes of the rows in sight, and a few beyond. */
function useSight(body, total, height) {
  const [[from, until], see] = useState([0, 40]);
  useLayoutEffect(() => {
    const look = () => {
      if (!body.current) return;
      const top = body.current.getBoundingClientRect().top;
      const first = Math.max(0, Math.floor(-top / height) - BEYOND);
      const behind = Math.ceil((innerHeight - top) / height) + BEYOND;
      see((seen) => (seen[0] === first && seen[1] === behind ? seen : [first, behind]));
    };
    look();
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    return () => {
      removeEventListener("scroll", look);
      removeEventListener("resize", look);
    };
  }, [total, height]);
  return [Math.min(from, total), Math.min(until, total)];
}

function openRow(event) {
  const row = event.target.closest("tr[data-stream]");
  if (!row || event.target.closest("a") || String(getSelection())) return;
  row.querySelector("a").click();
}

/** Up and down go from row to row. */
function moveFocus(event) {
  const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
  const link = step && event.target.closest("tr")?.[step]?.querySelector("a");
  if (!link) return;
  event.preventDefault();
  link.focus({ preventScroll: true });
  link.scrollIntoView({ block: "nearest" });
}
