// One event with all that is recorded of it, and where to ask for more.

import { Copy, Empty, Failure, html, Json, Loading, Time, visible } from "../ui.js";
import { eventPlace, number, streamHref } from "../format.js";
import { isChunk } from "./media.js";
import { Recording, Sounds } from "./sounds.js";

/** The event at `cursor`. */
export function EventPanel({ model, cursor }) {
  const record = model.records.get(cursor);
  if (cursor === 0) return html`<${Empty} title="Before the first event">Nothing was recorded yet.<//>`;
  if (!record && model.records.failure) return html`<${Failure} title="The event cannot be shown" error=${model.records.failure} />`;
  if (!record) return html`<${Loading} what="Reading the event" />`;
  const { stream } = model;
  const id = `${stream}@${record.version}`;
  const address = () => new URL(streamHref(stream, record.version), location.href).href;
  return html`
    <article class="event" data-version=${record.version}>
      <h3 class="panel-head"><span class=${`event-lane lane-${record.lane}`}>${record.event}</span>
        ${record.rejected && html`<span class="chip bad">rejected</span>`}
        <${Copy} text=${() => JSON.stringify(record, null, 2)} label="Copy as JSON" />
        <${Copy} text=${address} label="Copy link" /></h3>
      ${record.says && html`<p class="event-said">${visible(record.says)}</p>`}
      ${isChunk(record) ? html`<${Recording} key=${id} model=${model} record=${record} />` : html`<${Sounds} key=${id} payload=${record.payload} />`}
      <section aria-label="Payload"><h4>Payload</h4><${Json} value=${record.payload} open=${3} /></section>
      <section aria-label="Recorded with it"><h4>Recorded with it</h4><${Facts} record=${record} /></section>
      <section aria-label="Ask for more"><h4>Ask for more</h4>
        <ul class="more" role="list">
          <li><a href=${`#/audit?${new URLSearchParams({ correlation_id: record.correlation_id })}`}>All of its correlation, in the audit</a></li>
          <li><a href=${`#/audit?${new URLSearchParams({ stream })}`}>All of this stream, in the audit</a></li>
          <li><a href=${`#/integrity?${new URLSearchParams({ event: id })}`}>Proof of this event</a></li>
        </ul>
      </section>
    </article>`;
}

function Facts({ record }) {
  const facts = [
    ["Version", number(record.version)],
    ["Position in the log", number(record.position)],
    ["Time", html`<${Time} at=${record.time} as="moment" />`],
    ["Lane", record.lane],
    ["Principal", visible(record.principal)],
    ["Connection", record.origin && html`<a href=${`#/clients/${encodeURIComponent(record.origin)}`}>${visible(record.origin)}</a>`],
    ["Correlation", visible(record.correlation_id)],
    ["Caused by", record.causation_id && html`<${Cause} id=${record.causation_id} />`],
    ["Command", visible(record.command_id)],
  ];
  return html`<dl class="facts">${facts.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${value || html`<span class="muted">–</span>`}</dd></div>`)}</dl>`;
}

function Cause({ id }) {
  const place = eventPlace(id);
  return place ? html`<a href=${streamHref(...place)}>${visible(id)}</a>` : visible(id);
}
