// Who heard one stream at a time, and how much of it.

import { Empty, Failure, Loading, Time, html, useAnswer, useEffect, useId, useState, visible } from "../ui.js";
import { get } from "../server.js";
import { category, count, micros } from "../format.js";
import { go, link } from "../audit/address.js";
import { faultsOf } from "../audit/filters.js";
import { Field } from "../audit/form.js";
import { behind, useHead } from "./bounds.js";
import { meaningOf } from "./codes.js";
import { Moment } from "./moment.js";
import { JOINED, withJoined } from "./joined.js";

const MOST_JOINED = 200;

/** Choose a stream: what `#/clients?stream=…` is about. */
export function StreamChoice({ stream, fault }) {
  const [text, setText] = useState(stream);
  const names = useId();
  const [known] = useAnswer((signal) => get("/api/console/streams", { limit: 50 }, signal), []);
  useEffect(() => setText(stream), [stream]);
  const submit = (event) => {
    event.preventDefault();
    go(link("#/clients", { stream: text.trim() }));
  };
  return html`
    <form class="clients-choice" onSubmit=${submit}>
      <${Field} id="clients-stream" label="Who heard the stream" fault=${fault}>
        ${(given) => html`<input ...${given} name="stream" value=${text} list=${names} autocomplete="off" spellcheck=${false}
          placeholder="conversation-…" onInput=${(event) => setText(event.currentTarget.value)} />`}
      <//>
      <datalist id=${names}>${known?.streams.map((each) => html`<option key=${each.stream} value=${each.stream} />`)}</datalist>
      <button type="submit">Show</button>
      ${stream && html`<a href="#/clients">All connections</a>`}
    </form>
  `;
}

/** The list for one stream and time. */
export function Listeners({ stream, at }) {
  const [answer, error, again] = useAnswer((signal) => get("/api/audit/connections", { stream, at }, signal), [stream, at]);
  const [joined, unjoined] = useAnswer((signal) => askJoined(stream, at, signal), [stream, at]);
  const [consoles, showConsoles] = useState(false);
  const all = answer && (joined !== undefined || unjoined) && withJoined(answer.connections, joined?.entries ?? []);
  const shown = all?.filter((each) => consoles || each.dialect !== "console");
  const faults = error?.status === 422 ? faultsOf(error, ["stream", "at"]).fields : {};
  const isFault = Object.keys(faults).length > 0;
  return html`
    <${StreamChoice} stream=${stream} fault=${faults.stream} />
    <${Moment} at=${at} fault=${faults.at} onAt=${(wanted) => go(link("#/clients", { stream, at: wanted }))} />
    ${!all && !error && html`<${Loading} what="Putting the notes together" />`}
    ${error && !isFault && html`<${Failure} error=${error} retry=${again} />`}
    ${all && html`<${Told} all=${all} shown=${shown} at=${at} isCut=${Boolean(joined?.next_cursor)} consoles=${consoles} onConsoles=${showConsoles} />`}
    ${all?.length === 0 && html`<${Empty} title=${at ? "Nobody is known to have heard it then" : "Nobody is known to have heard it"}>
      <p>Choose a time at which somebody did.</p><//>`}
    ${all?.length > 0 && shown.length === 0 && html`<${Empty} title="None but consoles">
      <p>Pages like this one are left out, unless you want consoles too.</p><//>`}
    ${shown?.length > 0 && html`<${Table} connections=${shown} stream=${stream} at=${at} />`}
  `;
}

/** The stream's own record of who joined it, where it has one; asked for where no time is. */
function askJoined(stream, at, signal) {
  const event = JOINED[category(stream)];
  if (at || !event) return Promise.resolve(null);
  return get("/api/audit/events", { stream, event, newest_first: "true", limit: MOST_JOINED }, signal);
}

/** Whom the list is of: by a time it is exact, and without one all of whom anything is known. */
function Told({ all, shown, at, isCut, consoles, onConsoles }) {
  return html`
    <p class="muted">${at ? "Those that heard it then." : html`Of the server's present run those that hear it or did when they were last noted, of earlier ones
      those never noted as gone, and ${isCut ? `the last ${MOST_JOINED}` : "all"} that the stream itself says have joined it.`}</p>
    <div class="clients-tools">
      <label class="audit-check"><input type="checkbox" checked=${consoles} onChange=${(event) => onConsoles(event.currentTarget.checked)} /> consoles too</label>
      <span role="status" class="muted">${count(shown.length, "connection")} of ${all.length}</span>
    </div>
  `;
}

function Table({ connections, stream, at }) {
  const { head } = useHead(stream, at || null);
  return html`
    <p class="muted">${at ? "Then" : "Now"} the stream's end is ${head === undefined ? "…" : html`@${head}`}. All numbers are its versions.</p>
    <table class="audit-table clients-listeners" role="table" aria-label="Who heard it">
      <thead role="rowgroup">
        <tr role="row">
          <th role="columnheader" scope="col">Connection</th>
          <th role="columnheader" scope="col">Who</th>
          <th role="columnheader" scope="col">Dialect</th>
          <th role="columnheader" scope="col" class="number">Received</th>
          <th role="columnheader" scope="col" class="number">Written</th>
          <th role="columnheader" scope="col" class="number">At most</th>
          <th role="columnheader" scope="col" class="number">Behind</th>
          <th role="columnheader" scope="col">Came and went</th>
        </tr>
      </thead>
      <tbody role="rowgroup">
        ${connections.map((each) => html`<${Row} key=${each.connection} each=${each} stream=${stream} at=${at} head=${head} />`)}
      </tbody>
    </table>
  `;
}

function Row({ each, stream, at, head }) {
  const { connection, principal, dialect, opened, closed, code, joined } = each;
  const seen = each.streams.find((one) => one.stream === stream) ?? each.streams[0];
  return html`
    <tr role="row">
      <td role="cell"><a href=${link(`#/clients/${encodeURIComponent(connection)}`, { at })}>${visible(connection)}</a>
        ${seen?.device && html` <small class="muted">${visible(seen.device)}</small>`}</td>
      <td role="cell">${visible(principal) || "not noted"}</td>
      <td role="cell" data-name="dialect">${dialect ?? html`<span class="muted">not noted</span>`}</td>
      <td role="cell" class="number" data-label="received">${seen?.acknowledged ?? "–"}</td>
      <td role="cell" class="number" data-label="written">${seen?.written ?? "–"}</td>
      <td role="cell" class="number" data-label="at most">${seen?.at_most ?? "–"}</td>
      <td role="cell" class="number" data-label="behind">${seen && head !== undefined ? span(behind(seen, head)) : "–"}</td>
      <td role="cell" data-name="came">${opened ? html`<${Time} at=${micros(opened)} as="moment" />` : joined ? html`joined <${Time} at=${micros(joined)} as="moment" />` : "not noted"}
        ${closed && html` to <${Time} at=${micros(closed)} as="precise" /> <span class="chip" title=${meaningOf(code).meaning}>${code}</span>`}</td>
    </tr>
  `;
}

const span = ([least, most]) => (least === most ? `${most}` : `${least} to ${most}`);
