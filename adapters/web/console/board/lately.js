// Streams of late that nobody has in memory: they sleep until somebody talks to them.

import { Failure, html, spelled, Time, useEffect, useState } from "../ui.js";
import { category, count, streamHref } from "../format.js";
import { get } from "../server.js";
import { StreamName } from "./name.js";
import { EVERYTHING, isWished } from "./order.js";

const INTERVAL = 30_000;
const ASKED = 100;
const SHOWN = 12;

/** Those of `streams` that do not live now and that `wish` asks for. A state is nothing they have. */
export function asleep(streams, isLive, wish) {
  const words = wish.text.toLowerCase().split(/\s+/).filter(Boolean);
  return wish.label ? [] : streams.filter(({ stream }) =>
    !isLive(stream) && isWished(category(stream), wish.kind) && words.every((word) => stream.toLowerCase().includes(word)));
}

/** The list, asked for at opening, every 30 s while somebody looks, and on its button. */
export function Lately({ live, wish }) {
  const [{ streams, error }, tell] = useState({ streams: null, error: null });
  const [most, showMost] = useState(SHOWN);
  const [round, setRound] = useState(0);
  const kind = wish.kind === EVERYTHING ? "" : wish.kind;
  useEffect(() => {
    const aborting = new AbortController();
    const ask = () => document.hidden || get("/api/console/streams", { limit: ASKED, category: kind }, aborting.signal).then(
      (told) => tell({ streams: told.streams, error: null }),
      (fault) => aborting.signal.aborted || tell((before) => ({ ...before, error: fault })),
    );
    ask();
    const timer = setInterval(ask, INTERVAL);
    return () => {
      clearInterval(timer);
      aborting.abort();
    };
  }, [kind, round]);
  const shown = asleep(streams ?? [], (stream) => live.rows.get(stream), wish);
  return html`
    <section class="lately" aria-labelledby="lately">
      <div class="row"><h2 id="lately">Lately</h2>
        <span class="muted">in the log and not in memory; talking to one wakes it</span>
        <button type="button" class="quiet" onClick=${() => setRound(round + 1)}>Look again</button></div>
      ${error && html`<${Failure} title="What was lately is not known" error=${error} />`}
      ${streams && !shown.length && html`<p class="muted">${wish.label ? "What sleeps has no state to filter by." : "No stream of late sleeps that is like this."}</p>`}
      <ul>
        ${shown.slice(0, most).map(({ stream, events, last_time: last }) => html`
          <li key=${stream}><a href=${streamHref(stream)} title=${spelled(stream)} aria-label=${spelled(stream)}><${StreamName} stream=${stream} /></a>
            <span class="muted"><${Time} at=${last} as="ago" />, ${count(events, "event")}</span></li>`)}
      </ul>
      ${shown.length > most && html`<button type="button" class="quiet" onClick=${() => showMost(ASKED)}>${count(shown.length - most, "stream")} more</button>`}
    </section>`;
}
