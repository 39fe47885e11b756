// The newest events of the whole log, a few times a second: more often nobody reads.

import { Fold } from "./fold.js";
import { html, Time, useEffect, useRef, useState, spelled, visible } from "../ui.js";
import { StreamName } from "./name.js";
import { eventLabel, streamHref } from "../format.js";
import { isWished } from "./order.js";

const PAUSE = 300;
const SHOWN = 12;

/** A list of the newest events. Not a live region: it would never be silent. */
export function Ticker({ live }) {
  const [events, show] = useState([]);
  const list = useRef(null);
  useEffect(() => {
    let timer = null;
    const take = () => {
      // It stands still for whoever points at one of them: they could not be hit otherwise.
      timer = list.current?.matches(":hover, :focus-within") ? setTimeout(take, PAUSE) : null;
      if (timer === null) show(newest(live));
    };
    show(newest(live));
    const off = live.onChange(() => {
      timer ??= setTimeout(take, PAUSE);
    });
    return () => {
      off();
      clearTimeout(timer);
    };
  }, [live]);
  return html`<${Fold} title="Newest events">
    <section class="ticker panel" aria-label="Newest events">
      <h2>Newest events</h2>
      ${!events.length && html`<p class="muted">Nothing has happened since you came.</p>`}
      <ol ref=${list}>
        ${events.map((event) => html`
          <li key=${`${event.stream}@${event.version}`} data-lane=${event.lane}>
            <p class="ticker-head"><${Time} at=${event.time} />
              <a href=${streamHref(event.stream, event.version)} title=${spelled(event.stream)} aria-label=${spelled(event.stream)}><${StreamName} stream=${event.stream} /></a></p>
            <p class="ellipsis"><span class=${event.rejected ? "bad" : ""}>${eventLabel(event.event)}</span> <span class="muted">${visible(event.says)}</span></p>
          </li>`)}
      </ol>
    </section>
  </${Fold}>`;
}

/** What was told since one came, and where that is little, what was last in the streams it says nothing of. */
function newest(live) {
  const told = live.newest.slice(0, SHOWN);
  if (told.length === SHOWN) return told;
  const streams = new Set(told.map(({ stream }) => stream));
  const before = live.rows.all().filter(({ stream, event, kind }) => event && isWished(kind, "") && !streams.has(stream));
  return [...told, ...before.sort((one, other) => other.time - one.time)].slice(0, SHOWN);
}
