// One connection: who it was, what it heard, and how far it had come at a time.

import { Empty, Failure, Loading, Time, html, useAnswer, useState, spelled, visible } from "../ui.js";
import { get } from "../server.js";
import { micros, number, shortId, streamHref } from "../format.js";
import { go, link } from "../audit/address.js";
import { faultsOf, searchLink } from "../audit/filters.js";
import { Bounds } from "./bounds.js";
import { meaningOf } from "./codes.js";
import { Frames } from "./frames.js";
import { Moment } from "./moment.js";

/** `#/clients/<connection>?at=…`. */
export function One({ connection, at }) {
  const path = `/api/audit/connections/${encodeURIComponent(connection)}`;
  const [seen, error, again] = useAnswer((signal) => get(path, { at }, signal), [connection, at]);
  const fault = error?.status === 422 ? faultsOf(error, ["at"]).fields.at : undefined;
  const show = (wanted) => go(link(`#/clients/${encodeURIComponent(connection)}`, { at: wanted }));
  return html`
    <p><a href="#/clients">All connections</a></p>
    <${Moment} at=${at} day=${micros(seen?.opened ?? at)} fault=${fault} onAt=${show} label="What it had seen at" />
    ${!seen && !error && html`<${Loading} what="Putting the notes together" />`}
    ${error?.status === 404 && html`<${Unknown} connection=${connection} error=${error} at=${at} />`}
    ${error && !fault && error.status !== 404 && html`<${Failure} error=${error} retry=${again} />`}
    ${seen && html`<${Facts} seen=${seen} at=${at} /><${Streams} seen=${seen} at=${at} />`}
  `;
}

function Unknown({ connection, error, at }) {
  return html`<${Empty} title=${error.message}>
    <p>${at ? "It may have come later, or the server was killed before it noted it." : "What a server that was killed had not noted yet is not known."}</p>
    <p><a href=${searchLink({ origin: connection })}>What it did, by the log</a></p>
  <//>`;
}

function Facts({ seen, at }) {
  const { principal, dialect, path, since, opened, noted_from: from, noted_until: until } = seen;
  return html`
    <section class="panel" aria-label="The connection">
      <dl class="audit-facts">
        <div><dt>Who</dt><dd>${visible(principal) || "not noted"}</dd></div>
        <div><dt>Dialect</dt><dd>${dialect ?? "not noted"}</dd></div>
        ${Object.keys(path).length > 0 && html`<div><dt>Path</dt><dd>${Object.entries(path).map(([name, value]) => `${name} ${spelled(value)}`).join(", ")}</dd></div>`}
        <div><dt>Came</dt><dd>${opened ? html`<${Time} at=${micros(opened)} as="moment" />` : "not noted"}
          ${since !== null && html` back, with all up to ${since}`}</dd></div>
        <div><dt>Ended</dt><dd><${Ended} seen=${seen} at=${at} /></dd></div>
        <div><dt>In the log</dt><dd>${positions(seen)}</dd></div>
        <div><dt>Rests on</dt><dd>${from ? html`the look at <${Time} at=${micros(from)} as="precise" />` : "no look before"}${until
          ? html`, and that at <${Time} at=${micros(until)} as="precise" />` : ", and none after it"}</dd></div>
      </dl>
      <p class="audit-actions">
        <a href=${searchLink({ origin: seen.connection })}>What it did, by the log</a>
        ${principal && html`<a href=${searchLink({ principal })}>What ${visible(principal)} did</a>`}
      </p>
    </section>
  `;
}

function Ended({ seen, at }) {
  if (seen.closed === null) return at ? "it had not, as far as was noted" : "no end is noted";
  const { meaning, then } = meaningOf(seen.code);
  return html`<${Time} at=${micros(seen.closed)} as="moment" /> <span class="chip">${seen.code}</span> ${meaning}; ${then}`;
}

function positions({ acknowledged, written, at_most: atMost }) {
  const most = atMost === null ? "nobody knows how far at most" : `at most ${number(atMost)}`;
  return `received up to position ${number(acknowledged)}, written up to ${number(written)}, ${most}`;
}

function Streams({ seen, at }) {
  const topics = seen.hears.filter((name) => name.startsWith("#"));
  return html`
    <h2>What it heard</h2>
    ${seen.streams.length === 0 && topics.length === 0 && html`<${Empty} title="It heard no stream by then" />`}
    ${topics.length > 0 && html`<p>The wide topics ${topics.map((name) => html`<span class="chip" key=${name}>${visible(name.slice(1))}</span> `)}</p>`}
    ${seen.streams.map((each) => html`<${OfStream} key=${each.stream} each=${each} seen=${seen} at=${at} />`)}
  `;
}

function OfStream({ each, seen, at }) {
  const [isOpen, open] = useState(false);
  return html`
    <section class="panel clients-stream">
      <h3><a href=${streamHref(each.stream)} title=${spelled(each.stream)}>${visible(shortId(each.stream, 40))}</a>
        ${each.device && html` <span class="muted">as ${visible(each.device)}</span>`}</h3>
      <${Bounds} seen=${each} at=${at || null} />
      <details onToggle=${(event) => event.target === event.currentTarget && open(event.currentTarget.open)}>
        <summary>The frames it was sent</summary>
        ${isOpen && html`<${Frames} seen=${each} connection=${seen} />`}
      </details>
    </section>
  `;
}
