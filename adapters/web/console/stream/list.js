// The list of all events: only the rows in sight are in the document.

import { html, Time, useEffect, useLayoutEffect, useRef, useState, spelled, visible } from "../ui.js";
import { count, eventLabel, number } from "../format.js";
import { LANES } from "./outline.js";

/** Pixels; stream.css has the same. */
const ROW = 28;
const TALL_ROW = 46;
const BEYOND = 8;
/** Before it is known. */
const ROOM = 400;

/** The events of `model` with the one at `journey.cursor` chosen; `isNarrow` gives each two lines. */
export function EventList({ model, journey, isNarrow }) {
  const { outline, records, version } = model;
  const height = isNarrow ? TALL_ROW : ROW;
  const box = useRef(null);
  const [sight, setSight] = useState(() => ({ top: Math.max(0, journey.cursor * height - ROOM / 2), room: ROOM }));
  const rows = Math.ceil(sight.room / height);
  const first = Math.max(1, Math.floor(sight.top / height) + 1 - BEYOND);
  const until = Math.min(version, first + rows + 2 * BEYOND);

  useScrolling(box, height, { model, journey });
  useEffect(() => {
    const look = () => setSight({ top: box.current.scrollTop, room: box.current.clientHeight });
    const watching = new ResizeObserver(look);
    watching.observe(box.current);
    look();
    return () => watching.disconnect();
  }, []);
  useEffect(() => records.want("list", first, until), [first, until]);
  useEffect(() => () => records.want("list", 0, 0), []);

  const scroll = () => {
    const { scrollTop: top, clientHeight: room, scrollHeight } = box.current;
    setSight({ top, room });
    journey.scrolledTo(top + room >= scrollHeight - height / 2);
  };
  const jump = {
    ArrowUp: -1, ArrowDown: 1, PageUp: 1 - rows, PageDown: rows - 1, Home: -Infinity, End: Infinity,
  };
  const press = (event) => {
    const by = jump[event.key];
    if (by === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    journey.go(Math.min(version, Math.max(1, journey.cursor + by)));
  };
  const choose = (event) => {
    const row = event.target.closest("[data-version]");
    if (row) journey.go(Number(row.dataset.version));
  };
  const inSight = journey.cursor >= first && journey.cursor <= until;
  const fresh = journey.isAtEnd ? 0 : version - journey.seen;
  return html`
    <div class="event-list">
      <div class="event-rows" ref=${box} role="grid" tabIndex="0" aria-label="Events" aria-rowcount=${version} aria-colcount="6"
        aria-activedescendant=${inSight ? `event-${journey.cursor}` : null} onScroll=${scroll} onKeyDown=${press} onClick=${choose}>
        <div class="event-room" role="presentation" style=${{ height: `${version * height}px` }}>
          <div role="rowgroup" style=${{ transform: `translateY(${(first - 1) * height}px)` }}>
            ${Array.from({ length: Math.max(0, until - first + 1) }, (_, n) => {
              const at = first + n;
              return html`<${Row} key=${at} version=${at} outline=${outline} record=${records.get(at)} isChosen=${at === journey.cursor} />`;
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
function useScrolling(box, height, { model, journey }) {
  useLayoutEffect(() => {
    const { clientHeight: room, scrollTop: top } = box.current;
    const row = (journey.cursor - 1) * height;
    if (journey.isAtEnd || journey.leftByScrolling) return;
    if (row < top - room || row > top + 2 * room) box.current.scrollTop = Math.max(0, row - room / 2);
    else if (row < top) box.current.scrollTop = Math.max(0, row);
    else if (row + height > top + room) box.current.scrollTop = row + height - room;
  }, [journey.cursor, height]);
  useLayoutEffect(() => {
    if (journey.isAtEnd) box.current.scrollTop = model.version * height;
  });
}

function Row({ version, outline, record, isChosen }) {
  const lane = LANES[outline.lane(version)];
  const event = outline.event(version);
  return html`
    <div role="row" id=${`event-${version}`} class=${`event-row${record?.rejected ? " rejected" : ""}`} data-version=${version}
      aria-rowindex=${version} aria-selected=${isChosen ? "true" : "false"}>
      <span role="gridcell" class="event-version">${number(version)}</span>
      <span role="gridcell" class="event-time"><${Time} at=${outline.time(version)} as="precise" /></span>
      <span role="gridcell" class=${`event-lane lane-${lane}`}>${lane}</span>
      <span role="gridcell" class="event-name" title=${event}>${eventLabel(event)}</span>
      <span role="gridcell" class="event-says" title=${spelled(record?.says)}>${record ? visible(record.says) : "…"}</span>
      <span role="gridcell" class="event-who" title=${spelled(record?.principal)}>${visible(record?.principal)}</span>
    </div>`;
}
