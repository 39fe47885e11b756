// What was found, page by page: a table whose rows open.

import { Empty, Failure, Loading, html, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../ui.js";
import { count, number } from "../format.js";
import { EntryRow } from "./entry.js";
import { wanted } from "./words.js";

/** One page of entries with the ways to the others. `found` is what `useSearch` answers, for the words `text`; `from` how
 * far down one was, in pixels, when one left them. */
export function Results({ found, text, from = 0 }) {
  const { page, error, busy, number: pageNumber, retry } = found;
  const top = useRef(null);
  const words = useMemo(() => wanted(text), [text]);
  const last = useRef(pageNumber);
  const isThere = Boolean(page);
  useLayoutEffect(() => {
    if (!isThere || from === 0) return;
    last.current = pageNumber; // one comes back to it: it is no other page
    scrollTo(0, from);
  }, [isThere]);
  useEffect(() => {
    // Another page begins at its beginning; one comes from the buttons below the one before.
    if (last.current !== pageNumber) top.current?.scrollIntoView({ block: "start" });
    last.current = pageNumber;
  }, [pageNumber]);
  if (error && !page) return html`<${Failure} error=${error} retry=${retry} />`;
  if (!page) return html`<${Loading} what=${found.looked ? `Nothing in ${count(found.looked, "page")} so far, looking on` : "Searching the log"} />`;
  if (!page.entries.length && pageNumber === 1) {
    return html`<${Empty} title="Nothing meets all of that"><p>Take a condition away, or widen the time.</p><//>`;
  }
  return html`
    <div class="audit-results" ref=${top} aria-busy=${busy}>
      ${error && html`<${Failure} error=${error} retry=${retry} />`}
      <${Table} entries=${page.entries} words=${words} key=${pageNumber} />
      <${Pager} found=${found} />
    </div>
  `;
}

function Table({ entries, words }) {
  const [open, setOpen] = useState(new Set());
  const toggle = (position) => {
    const next = new Set(open);
    if (!next.delete(position)) next.add(position);
    setOpen(next);
  };
  // The roles are said as well, since on narrow screens rows are shown as blocks, and then lose them.
  return html`
    <table class="audit-table" role="table" aria-label="Events found">
      <thead role="rowgroup">
        <tr role="row">
          <th role="columnheader" scope="col">Time</th>
          <th role="columnheader" scope="col">Event</th>
          <th role="columnheader" scope="col">What it says</th>
          <th role="columnheader" scope="col">Who</th>
          <th role="columnheader" scope="col">Stream@version</th>
        </tr>
      </thead>
      <tbody role="rowgroup">
        ${entries.map((entry) => html`
          <${EntryRow} key=${entry.position} entry=${entry} words=${words}
            isOpen=${open.has(entry.position)} onToggle=${() => toggle(entry.position)} />
        `)}
      </tbody>
    </table>
  `;
}

function Pager({ found }) {
  const { page, number: pageNumber, busy, next, back } = found;
  return html`
    <nav class="audit-pager" aria-label="Pages">
      <button type="button" disabled=${pageNumber === 1} aria-disabled=${busy} onClick=${back}>Page before</button>
      <span>Page ${number(pageNumber)}, ${count(page.entries.length, "event")}</span>
      <button type="button" disabled=${!page.next_cursor} aria-disabled=${busy} onClick=${next}>Next page</button>
    </nav>
  `;
}

/** How many there are, once that is known. */
export function Count({ counted }) {
  if (counted.error) return html`<span class="audit-count">How many there are cannot be said: ${counted.error.message}</span>`;
  if (!counted.answer) return html`<span class="audit-count">Counting…</span>`;
  const { count: amount, complete, head } = counted.answer;
  const told = `${complete ? "" : "at least "}${count(amount, "event")}`;
  return html`<span class="audit-count"><strong>${told}</strong> among the log's first ${number(head)}</span>`;
}
