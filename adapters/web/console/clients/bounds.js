// How far a client had come in one stream: certain, handed over, at most, and the stream's own end.

import { Failure, html, useAnswer } from "../ui.js";
import { get } from "../server.js";
import { count, number, streamHref } from "../format.js";

/** The version a stream had at a time (µs or ISO, null: now): {head, error}. */
export function useHead(stream, at) {
  const [page, error] = useAnswer(
    (signal) => get("/api/audit/events", { stream, until: at, newest_first: "true", limit: 1 }, signal), [stream, at]);
  return { head: page && (page.entries[0]?.version ?? 0), error };
}

/** Bounds as a bar and in words. `seen` is one of a connection's streams; `at` the time it is of, null for the last. */
export function Bounds({ seen, at }) {
  const { head, error } = useHead(seen.stream, at);
  const { acknowledged, written, at_most: atMost } = seen;
  const end = Math.max(head ?? 0, atMost, 1);
  return html`
    <figure class="clients-bounds">
      <svg class="clients-bar" viewBox="0 0 100 10" preserveAspectRatio="none" role="img"
        aria-label=${`Received up to ${acknowledged}, written up to ${written}, at most ${atMost}, of ${head ?? "…"}`}>
        <rect class="clients-all" width="100" height="10" />
        <rect class="clients-most" width=${(100 * atMost) / end} height="10" />
        <rect class="clients-written" width=${(100 * written) / end} height="10" />
        <rect class="clients-received" width=${(100 * acknowledged) / end} height="10" />
      </svg>
      <dl class="clients-legend">
        <${Bound} kind="received" name="Received for certain" version=${acknowledged} stream=${seen.stream} />
        <${Bound} kind="written" name="Handed to its connection" version=${written} stream=${seen.stream} />
        <${Bound} kind="most" name="At most" version=${atMost} stream=${seen.stream} />
        <${Bound} kind="all" name=${at === null ? "The stream's end now" : "The stream's end then"} version=${head} stream=${seen.stream} />
        <div><dt>Behind the end</dt><dd>${lag(seen, head)}</dd></div>
      </dl>
      ${error && html`<${Failure} error=${error} />`}
    </figure>
  `;
}

function Bound({ kind, name, version, stream }) {
  const told = version ? html`up to <a href=${streamHref(stream, version)}>@${version}</a>` : version === 0 ? "nothing" : "…";
  return html`<div><dt><span class=${`clients-key clients-${kind}`} aria-hidden="true"></span>${name}</dt><dd>${told}</dd></div>`;
}

/** Between how many events a client was behind the stream's end. */
export function behind({ written, at_most: atMost }, head) {
  return [Math.max(0, head - atMost), Math.max(0, head - written)];
}

function lag(seen, head) {
  if (head === undefined) return "…";
  const [least, most] = behind(seen, head);
  if (most === 0) return "by nothing: it has been written all there was";
  return least === most ? `by ${count(most, "event")}` : `by ${number(least)} to ${count(most, "event")}`;
}
