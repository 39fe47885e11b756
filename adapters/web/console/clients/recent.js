// All connections there are and were, from the newest notes back.

import { Empty, Failure, Loading, Time, html, useEffect, useState, spelled, visible } from "../ui.js";
import { get } from "../server.js";
import { count, shortId, streamHref } from "../format.js";
import { meaningOf } from "./codes.js";
import { connectionsIn } from "./notes.js";

const LIMIT = 200;
const MOST_HEARD = 3;

/** The list, with a filter by words and by being open. */
export function Recent() {
  const { notes, cursor, error, busy, more, again } = useNotes();
  const [wanted, setWanted] = useState({ words: "", onlyOpen: false, consoles: false });
  if (error && !notes.length) return html`<${Failure} error=${error} retry=${again} />`;
  if (busy && !notes.length) return html`<${Loading} what="Reading the notes of delivery" />`;
  const all = connectionsIn(notes);
  const shown = all.filter((each) => isMeant(each, wanted));
  if (!all.length) {
    return html`<${Empty} title="No connection is on record yet">
      <p>The server notes how far its clients have come, every second by default, when something moved.</p>
      <button type="button" onClick=${again}>Look again</button>
    <//>`;
  }
  return html`
    <div class="clients-tools">
      <label>Only those with <input type="search" value=${wanted.words} placeholder="principal, stream, dialect, code"
        onInput=${(event) => setWanted({ ...wanted, words: event.currentTarget.value })} /></label>
      <label class="audit-check"><input type="checkbox" checked=${wanted.onlyOpen}
        onChange=${(event) => setWanted({ ...wanted, onlyOpen: event.currentTarget.checked })} /> open now</label>
      <label class="audit-check"><input type="checkbox" checked=${wanted.consoles}
        onChange=${(event) => setWanted({ ...wanted, consoles: event.currentTarget.checked })} /> consoles too</label>
      <button type="button" aria-disabled=${busy} onClick=${again}>Look again</button>
      <span role="status" class="muted">${count(shown.length, "connection")} of ${all.length}</span>
    </div>
    ${shown.length ? html`<${Table} connections=${shown} />` : html`<${Empty} title="None of them is meant">
      ${!wanted.consoles && html`<p>Pages like this one are left out, unless you want consoles too.</p>`}<//>`}
    ${error && html`<${Failure} error=${error} retry=${more} />`}
    ${cursor && html`<p><button type="button" aria-disabled=${busy} onClick=${more}>Look further back</button></p>`}
  `;
}

function isMeant(each, { words, onlyOpen, consoles }) {
  return (consoles || each.dialect !== "console") && (!onlyOpen || each.isOpen) && says(each, words);
}

const says = (each, words) => {
  const told = [each.id, each.principal, each.dialect, each.code, ...each.hears].join(" ").toLowerCase();
  return words.toLowerCase().split(/\s+/).every((word) => told.includes(word));
};

/** The notes read so far, and how to read on. */
function useNotes() {
  const [state, setState] = useState({ notes: [], cursor: null, error: null, busy: true });
  // Behind `before` come those from the cursor on; `shown` stays meanwhile, so that nothing jumps and no focus is lost.
  const load = async (cursor, before, signal = null, shown = before) => {
    const tell = (told) => signal?.aborted || setState(told);
    tell({ notes: shown, cursor: state.cursor, error: null, busy: true });
    try {
      const query = { category: "delivery", event: "delivery.noted", newest_first: "true", limit: LIMIT, cursor };
      const page = await get("/api/audit/events", query, signal);
      tell({ notes: [...before, ...page.entries], cursor: page.next_cursor, error: null, busy: false });
    } catch (error) {
      tell({ notes: shown, cursor: state.cursor, error, busy: false });
    }
  };
  useEffect(() => {
    const turn = new AbortController();
    load(null, [], turn.signal);
    return () => turn.abort();
  }, []);
  const unless = (isBusy, act) => () => isBusy || act();
  return {
    ...state,
    more: unless(state.busy, () => load(state.cursor, state.notes)),
    again: unless(state.busy, () => load(null, [], null, state.notes)),
  };
}

function Table({ connections }) {
  return html`
    <table class="audit-table clients-table" role="table" aria-label="Connections">
      <thead role="rowgroup">
        <tr role="row">
          <th role="columnheader" scope="col">Connection</th>
          <th role="columnheader" scope="col">Who</th>
          <th role="columnheader" scope="col">Dialect</th>
          <th role="columnheader" scope="col">Heard</th>
          <th role="columnheader" scope="col">Came</th>
          <th role="columnheader" scope="col">Ended</th>
        </tr>
      </thead>
      <tbody role="rowgroup">${connections.map((each) => html`<${Row} key=${each.id} each=${each} />`)}</tbody>
    </table>
  `;
}

function Row({ each }) {
  return html`
    <tr role="row">
      <td role="cell"><a href=${`#/clients/${encodeURIComponent(each.id)}`}>${visible(each.id)}</a></td>
      <td role="cell">${visible(each.principal) ?? html`<span class="muted">not noted</span>`}</td>
      <td role="cell">${each.dialect ?? "–"}${each.since !== null && html` <small class="muted">back from ${each.since}</small>`}</td>
      <td role="cell"><${Heard} names=${each.hears} /></td>
      <td role="cell" data-name="came"><${Time} at=${each.opened} as="moment" /></td>
      <td role="cell" data-name="ended"><${End} each=${each} /></td>
    </tr>
  `;
}

/** Streams as links; a wide topic (#…) is none. */
export function Heard({ names }) {
  const shown = names.slice(0, MOST_HEARD);
  const rest = names.length - shown.length;
  return html`<ul class="clients-heard">
    ${shown.map((name) => html`<li key=${name}><${Name} name=${name} /></li>`)}
    ${rest > 0 && html`<li class="muted">and ${rest} more</li>`}
  </ul>`;
}

function Name({ name }) {
  const stream = name.replace(/^#stream:/, ""); // consoles hear a stream by a topic of its own
  if (stream.startsWith("#")) return html`topic ${visible(name.slice(1))}`;
  return html`<a href=${streamHref(stream)} title=${spelled(stream)}>${visible(shortId(stream, 26))}</a>`;
}

/** How a connection ended, if it has. */
export function End({ each }) {
  if (each.isOpen) return html`<span class="chip good">open</span>`;
  if (each.closed === null) return html`<span class="muted">not noted: that run of the server is over</span>`;
  const { meaning } = meaningOf(each.code);
  return html`<${Time} at=${each.closed} as="moment" /> <span class="chip" title=${meaning}>${each.code}</span>
    <small class="clients-meaning">${meaning}</small>`;
}
