// What was sent to one connection of each of a stream's last events, and whether it had come by then.

import { Empty, Failure, Loading, Time, html, useAnswer, useEffect, useState, spelled, visible } from "../ui.js";
import { get, socket } from "../server.js";
import { eventLabel, micros, streamHref } from "../format.js";

const MOST = 20;
const TO = { everyone: "for all who heard it", origin: "for its sender alone", others: "for all but its sender" };

/** The events up to the last that the client may have had, newest first; each opens to its frames. */
export function Frames({ seen, connection }) {
  const [until, setUntil] = useState(seen.at_most);
  useEffect(() => setUntil(seen.at_most), [seen.stream, seen.at_most]);
  const after = Math.max(0, until - MOST);
  const [records, error, again] = useAnswer(() => recordsOf(seen.stream, after, until), [seen.stream, after, until]);
  if (!seen.at_most) return html`<${Empty} title="Nothing had been sent of this stream by then" />`;
  if (error) return html`<${Failure} title="The events cannot be read now" error=${error} retry=${again} />`;
  if (!records) return html`<${Loading} what="Reading the stream" />`;
  return html`
    <ol class="clients-frames" reversed start=${until}>
      ${records.map((record) => html`<${Sent} key=${record.version} record=${record} seen=${seen} connection=${connection} />`)}
    </ol>
    <p class="audit-actions">
      ${until < seen.at_most && html`<button type="button" onClick=${() => setUntil(Math.min(seen.at_most, until + MOST))}>Later events</button>`}
      ${after > 0 && html`<button type="button" onClick=${() => setUntil(after)}>Earlier events</button>`}
    </p>
  `;
}

async function recordsOf(stream, after, until) {
  const records = [];
  await socket.ask({ type: "page", stream, after, until }, (record) => records.push(record));
  return records.sort((one, other) => other.version - one.version);
}

/** How certain it is that the client had an event by this connection: [class, words]. */
function certainty({ acknowledged, written, at_most: atMost }, { version, time }, { since, opened }) {
  const isFromBefore = opened !== null && time < micros(opened);
  if (isFromBefore && since !== null && version <= since) return ["all", "it had that when it came back"];
  if (isFromBefore && since === null) return ["all", "from before it came: what the greeting said of it"];
  if (version <= acknowledged) return ["received", "received for certain"];
  if (version <= written) return ["written", "handed to its connection"];
  return version <= atMost ? ["most", "perhaps on its way"] : ["all", "not yet"];
}

function Sent({ record, seen, connection }) {
  const [isOpen, open] = useState(false);
  const [kind, words] = certainty(seen, record, connection);
  return html`
    <li>
      <details onToggle=${(event) => open(event.currentTarget.open)}>
        <summary>
          <span class=${`clients-key clients-${kind}`} title=${words}></span>
          <span class="clients-version">@${record.version}</span>
          <${Time} at=${record.time} as="precise" />
          <strong>${eventLabel(record.event)}</strong>
          <span class="clients-says">${visible(record.says)}</span>
          <small class="muted">${words}</small>
        </summary>
        ${isOpen && html`<${FramesOf} record=${record} stream=${seen.stream} connection=${connection} />`}
      </details>
    </li>
  `;
}

function FramesOf({ record, stream, connection }) {
  const path = `/api/audit/streams/${encodeURIComponent(stream)}/frames`;
  const [answer, error, again] = useAnswer((signal) => get(path, { at: record.version }, signal), [stream, record.version]);
  if (error) return html`<${Failure} error=${error} retry=${again} />`;
  if (!answer) return html`<${Loading} what="Rendering the frames" />`;
  const [frames, why] = framesFor(answer, record, connection);
  const more = (connection.dialect ?? "").split("+").slice(1).join(", ");
  return html`
    <div class="clients-sent">
      ${frames.length === 0 && html`<p class="muted">${why}</p>`}
      ${frames.map((frame, index) => html`<${Frame} key=${index} frame=${frame} />`)}
      ${more && html`<p class="muted">It had asked for ${more} too; frames of that are not shown here.</p>`}
      <p class="audit-actions"><a href=${streamHref(stream, record.version)}>See the event in its stream</a></p>
    </div>
  `;
}

/** The frames of one event in the connection's dialect, with those that were not for it left out; and why there are none. */
function framesFor(answer, record, connection) {
  // A dialect's name may carry what its client asked for: conversations+deltas.
  const dialect = (connection.dialect ?? "").split("+")[0];
  const spoken = answer.dialects.filter((each) => !dialect || each.dialect.split("+")[0] === dialect);
  if (!spoken.length) return [[], `What it was sent in the dialect ${dialect} is not played again.`];
  const all = spoken.flatMap((each) => each.frames);
  const isSender = record.origin === connection.connection;
  const mine = all.filter(({ to }) => to === "everyone" || (to === "origin") === isSender);
  return [mine, all.length ? "What was sent of this event was for others." : "Nothing was sent of this event in its dialect."];
}

function Frame({ frame }) {
  const { to, text, base64, close } = frame;
  return html`
    <figure class="audit-content">
      <figcaption class="muted">${TO[to] ?? to}${base64 !== undefined && ", binary, in base64"}
        ${close && html`<span class="chip warn">closed with ${close.code} ${spelled(close.reason)}</span>`}</figcaption>
      ${(text ?? base64) !== undefined && html`<pre tabindex="0">${visible(text ?? base64)}</pre>`}
    </figure>
  `;
}
