// The list of all events: only the rows in sight are in the document.

import { html, Time, useEffect, useLayoutEffect, useRef, useState, spelled, visible } from "../ui.js";
import { count, eventLabel, number } from "../format.js";
import { LANES } from "./outline.js";
import { useSieve } from "./sieving.js";

/** Pixels; stream.css has the same. */
const ROW = 28;
const TALL_ROW = 46;
const BEYOND = 8;
/** Before it is known. */
const ROOM = 400;
/** Events that are not listed, between two that are: so many are read along with them. */
const FAR = 50;

/** The events of `model` with the one at `journey.cursor` chosen; `isNarrow` gives each two lines. */
export function EventList({ model, journey, isNarrow }) {
  const { outline, records, version } = model;
  const height = isNarrow ? TALL_ROW : ROW;
  const box = useRef(null);
  const topThen = useRef(0);
  const [sieve, controls] = useSieve(model);
  const row = sieve.row(journey.cursor);
  const [sight, setSight] = useState(() => ({ top: Math.max(0, row * height - ROOM / 2), room: ROOM }));
  const rows = Math.ceil(sight.room / height);
  const most = Math.max(1, sieve.size - rows - 2 * BEYOND); // the list may have become shorter than where one looked
  const first = Math.min(most, Math.max(1, Math.floor(sight.top / height) + 1 - BEYOND));
  const until = Math.min(sieve.size, first + rows + 2 * BEYOND);

  useScrolling(box, height, { row, sieve, journey });
  useEffect(() => {
    const place = box.current;
    const look = () => setSight({ top: place.scrollTop, room: place.clientHeight });
    const watching = new ResizeObserver(look);
    watching.observe(place);
    look();
    return () => watching.disconnect();
  }, []);
  useWishes(records, sieve.spans(first, until, FAR), journey.cursor);

  const scroll = (event) => { // of the list alone, and perhaps the last thing it says before it goes
    const { scrollTop: top, clientHeight: room, scrollHeight } = event.currentTarget;
    const isEnd = top + room >= scrollHeight - height / 2;
    const isUp = top < topThen.current;
    topThen.current = top;
    setSight({ top, room });
    if (isEnd || isUp || !journey.isAtEnd) journey.scrolledTo(isEnd); // a list that has grown meanwhile is left by nobody
  };
  const jump = {
    ArrowUp: -1, ArrowDown: 1, PageUp: 1 - rows, PageDown: rows - 1, Home: -Infinity, End: Infinity,
  };
  const press = (event) => {
    const by = jump[event.key];
    if (by === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    journey.go(by === Infinity ? version : sieve.step(journey.cursor, by) ?? journey.cursor);
  };
  const choose = (event) => {
    const chosen = event.target.closest("[data-version]");
    if (chosen) journey.go(Number(chosen.dataset.version));
  };
  const inSight = row >= first && row <= until && sieve.version(row) === journey.cursor;
  const fresh = journey.isAtEnd ? 0 : version - journey.seen;
  return html`
    <div class="event-list">
      ${controls}
      <div class="event-rows" ref=${box} role="grid" tabIndex="0" aria-label="Events" aria-rowcount=${sieve.size} aria-colcount="6"
        aria-activedescendant=${inSight ? `event-${journey.cursor}` : null} onScroll=${scroll} onKeyDown=${press} onClick=${choose}>
        <div class="event-room" role="presentation" style=${{ height: `${sieve.size * height}px` }}>
          <div role="rowgroup" style=${{ transform: `translateY(${(first - 1) * height}px)` }}>
            ${Array.from({ length: Math.max(0, until - first + 1) }, (_, n) => {
              const at = sieve.version(first + n);
              return html`<${Row} key=${at} version=${at} index=${first + n} outline=${outline} record=${records.get(at)} isChosen=${at === journey.cursor} />`;
            })}
          </div>
        </div>
      </div>
      <div class="event-news">
        <span class="hidden" role="status">${fresh > 0 ? "There are new events" : ""}</span>
        ${fresh > 0 && html`<button type="button" onClick=${() => journey.go(version)}>${count(fresh, "new event")} ↓</button>`}
      </div>
    </div>`;
}

/** Keeps the end in sight while one is there, and else the event one has gone to: in the middle after a long way. */
function useScrolling(box, height, { row, sieve, journey }) {
  useLayoutEffect(() => {
    const { clientHeight: room, scrollTop: top } = box.current;
    const place = (row - 1) * height;
    if (journey.isAtEnd || journey.leftByScrolling) return;
    if (place < top - room || place > top + 2 * room) box.current.scrollTop = Math.max(0, place - room / 2);
    else if (place < top) box.current.scrollTop = Math.max(0, place);
    else if (place + height > top + room) box.current.scrollTop = place + height - room;
  }, [journey.cursor, height, sieve]);
  useLayoutEffect(() => {
    if (journey.isAtEnd) box.current.scrollTop = sieve.size * height;
  });
}

/** What the rows in sight say is asked for; what lies between them and is not listed is not. */
function useWishes(records, spans, cursor) {
  const wished = useRef(0);
  const wish = (wanted) => {
    for (let n = 0; n < Math.max(wanted.length, wished.current); n += 1) records.want(`list ${n}`, ...(wanted[n] ?? [0, 0]));
    wished.current = wanted.length;
  };
  useEffect(() => wish(spans), [String(spans), cursor]);
  useEffect(() => () => wish([]), []);
}

function Row({ version, index, outline, record, isChosen }) {
  const lane = LANES[outline.lane(version)];
  const event = outline.event(version);
  return html`
    <div role="row" id=${`event-${version}`} class=${`event-row${record?.rejected ? " rejected" : ""}`} data-version=${version}
      aria-rowindex=${index} aria-selected=${isChosen ? "true" : "false"}>
      <span role="gridcell" class="event-version">${number(version)}</span>
      <span role="gridcell" class="event-time"><${Time} at=${outline.time(version)} as="precise" /></span>
      <span role="gridcell" class=${`event-lane lane-${lane}`}>${lane}</span>
      <span role="gridcell" class="event-name" title=${event}>${eventLabel(event)}</span>
      <span role="gridcell" class="event-says" title=${spelled(record?.says)}>${record ? visible(record.says) : "…"}</span>
      <span role="gridcell" class="event-who" title=${spelled(record?.principal)}>${visible(record?.principal)}</span>
    </div>`;
}
