// One event as the log has it: a row, and all of it when the row is open.

import { Copy, Time, html, spelled, visible } from "../ui.js";
import { eventPlace, micros, shortId, streamHref } from "../format.js";
import { searchLink } from "./filters.js";
import { link } from "./address.js";
import { Marked } from "./marked.js";
import { reasons } from "./words.js";

const LONGEST = 160;
const WITHOUT_VERSION = /\/\d+$/;

/** An event as a row, and its details in another one below. `words` are those that were looked for. */
export function EntryRow({ entry, words, isOpen, onToggle }) {
  const { position, stream, version, event, payload, principal, origin } = entry;
  const id = `audit-entry-${position}`;
  const isRejected = event.startsWith("command.rejected");
  return html`
    <tr role="row" class=${`audit-row${isRejected ? " audit-rejected" : ""}${isOpen ? " audit-open" : ""}`}>
      <td role="cell" class="audit-time">
        <button type="button" class="audit-toggle" aria-expanded=${isOpen} aria-controls=${id} onClick=${onToggle}
          aria-label=${`Details of ${spelled(stream)}@${version}`}><span aria-hidden="true">${isOpen ? "▾" : "▸"}</span></button>
        <${Time} at=${micros(entry.time)} as="moment" />
      </td>
      <td role="cell" class="audit-event">${event.replace(WITHOUT_VERSION, "")}</td>
      <td role="cell" class="audit-says"><${Says} entry=${entry} words=${words} /></td>
      <td role="cell" class="audit-who">${visible(principal)}${origin && html` <small>via ${visible(origin)}</small>`}</td>
      <td role="cell" class="audit-place">
        <a href=${streamHref(stream, version)} title=${`${spelled(stream)}@${version}`}>${visible(shortId(stream, 26))}@${version}</a>
      </td>
    </tr>
    ${isOpen && html`
      <tr role="row" class="audit-details" id=${id}>
        <td role="cell" colspan="5"><${Details} entry=${entry} words=${words} /></td>
      </tr>
    `}
  `;
}

/** In one line, with what was looked for, and from where that is when it is not in that line. */
function Says({ entry, words }) {
  const told = brief(entry.payload);
  const { more, command } = reasons(entry, told, words);
  return html`
    <${Marked} text=${told} words=${words} />
    ${more !== null && html`<p class="audit-why"><span class="chip">further on</span> <${Marked} text=${more} words=${words} /></p>`}
    ${command !== null && html`<p class="audit-why"><span class="chip">in its command</span> <${Marked} text=${command} words=${words} /></p>`}
  `;
}

/** What an event says, in one line: its texts and numbers with their names, ids last, not too long. */
export function brief(payload) {
  if (payload === null || typeof payload !== "object") return String(payload ?? "").slice(0, LONGEST);
  const parts = Object.entries(payload).filter(([, value]) => value !== null && value !== "");
  const isId = ([name]) => Number(/(^id|_id)$/.test(name));
  const told = parts.sort((one, other) => isId(one) - isId(other)).map(([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`);
  const text = told.join(" · ");
  return text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text;
}

function Details({ entry, words }) {
  const { stream, version, event, position, hash, command } = entry;
  const id = `${stream}@${version}`;
  return html`
    <div class="audit-whole">
      <dl class="audit-facts">
        <${Fact} name="Position in the log">${position}<//>
        <${Fact} name="Stored as">${event}<//>
        <${Fact} name="Stored at">${entry.time}<//>
        <${Fact} name="Chain hash"><code>${hash}</code><//>
        ${entry.command_id && html`<${Fact} name="Command id"><code>${visible(entry.command_id)}</code><//>`}
        ${entry.causation_id && html`<${Fact} name="Caused by"><${Cause} id=${entry.causation_id} /><//>`}
      </dl>
      <${Content} title="Payload" value=${entry.payload} words=${words} />
      ${command !== null && html`<${Content} title="Command that led to it" value=${command} words=${words} />`}
      <${Similar} entry=${entry} />
      <p class="audit-actions">
        <a href=${streamHref(stream, version)}>See it in its stream</a>
        <a href=${link("#/integrity", { event: id })}>Prove it</a>
      </p>
    </div>
  `;
}

function Fact({ name, children }) {
  return html`<div><dt>${name}</dt><dd>${children}</dd></div>`;
}

function Cause({ id }) {
  const place = eventPlace(id);
  return place ? html`<a href=${streamHref(...place)}>${visible(id)}</a>` : html`<code>${visible(id)}</code>`;
}

function Content({ title, value, words }) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return html`
    <section class="audit-content" aria-label=${title}>
      <header><strong>${title}</strong><${Copy} text=${text} label=${`Copy ${title.toLowerCase()}`} /></header>
      <pre tabindex="0"><${Marked} text=${text} words=${words} /></pre>
    </section>
  `;
}

/** Questions that begin with this event: what else has the same. */
function Similar({ entry }) {
  const { stream, version, event, principal, origin } = entry;
  const found = [
    ["the same correlation", { correlation_id: entry.correlation_id }],
    ["what this event caused", { causation_id: `${stream}@${version}` }],
    ["the same stream", { stream }],
    ["the same event", { event: event.replace(WITHOUT_VERSION, "") }],
    ["the same principal", { principal }],
    ["the same connection", { origin }],
    ["the same command", { command_id: entry.command_id }],
  ].filter(([, fields]) => Object.values(fields).every(Boolean));
  return html`
    <nav class="audit-similar" aria-label="More like this">
      <span>More like this:</span>
      <ul>${found.map(([label, fields]) => html`<li key=${label}><a href=${searchLink(fields)}>${label}</a></li>`)}</ul>
    </nav>
  `;
}
