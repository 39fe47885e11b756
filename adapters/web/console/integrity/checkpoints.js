// The log's checkpoints: what to copy away, so that nothing before them can be changed unnoticed.

import { Copy, Empty, Failure, Loading, Time, html, useAnswer, useState } from "../ui.js";
import { get } from "../server.js";
import { count, micros, number, shortId } from "../format.js";

const LIMIT = 100;
const SHOWN = 8;

/** The newest checkpoints, and the log's head as the newest of them has it. */
export function Checkpoints() {
  const [answer, error, again] = useAnswer((signal) => get("/api/audit/checkpoints", { newest_first: "true", limit: LIMIT }, signal), []);
  return html`
    <section class="panel" aria-labelledby="integrity-checkpoints">
      <header class="integrity-head">
        <h2 id="integrity-checkpoints">Checkpoints</h2>
        <button type="button" class="quiet" onClick=${again}>Look again</button>
      </header>
      ${error && html`<${Failure} error=${error} retry=${again} />`}
      ${!answer && !error && html`<${Loading} what="Reading the checkpoints" />`}
      ${answer?.checkpoints.length === 0 && html`<${Empty} title="There is none yet">
        <p>The server makes one every thousand events or every minute, as it is set.</p><//>`}
      ${answer?.checkpoints.length > 0 && html`<${Table} checkpoints=${answer.checkpoints} />`}
    </section>
  `;
}

function Table({ checkpoints }) {
  const [showsAll, showAll] = useState(false);
  const [newest] = checkpoints;
  const shown = showsAll ? checkpoints : checkpoints.slice(0, SHOWN);
  return html`
    <p>The newest is of ${count(newest.size, "event")}, with the chain's hash <code title=${newest.head}>${newest.head.slice(0, 16)}…</code>.
      ${" "}Whoever keeps a copy can tell later that nothing before it was changed, replaced or cut off.</p>
    <p><${Copy} text=${newest.checkpoint} label="Copy the newest" /></p>
    <table class="audit-table integrity-table" role="table" aria-label="Checkpoints, the newest first">
      <thead role="rowgroup">
        <tr role="row">
          <th role="columnheader" scope="col" class="number">Events</th>
          <th role="columnheader" scope="col">Made</th>
          <th role="columnheader" scope="col">Chain's hash then</th>
          <th role="columnheader" scope="col">Signed</th>
          <th role="columnheader" scope="col"><span class="hidden">Copy</span></th>
        </tr>
      </thead>
      <tbody role="rowgroup">
        ${shown.map(({ size, time, head, signed, checkpoint }) => html`
          <tr role="row" key=${size}>
            <td role="cell" class="number" data-label="events">${number(size)}</td>
            <td role="cell"><${Time} at=${micros(time)} as="moment" /></td>
            <td role="cell"><code title=${head}>${shortId(head, 24)}</code></td>
            <td role="cell">${signed ? html`<span class="chip good">signed</span>` : html`<span class="chip">unsigned</span>`}</td>
            <td role="cell"><${Copy} text=${checkpoint} /></td>
          </tr>
        `)}
      </tbody>
    </table>
    ${shown.length < checkpoints.length && html`
      <p><button type="button" class="quiet" onClick=${() => showAll(true)}>Show ${checkpoints.length - shown.length} more</button></p>`}
  `;
}
