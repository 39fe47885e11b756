// The lanes on a time axis: who did something when. Wheel, drag and buttons move and stretch it.

import { count, eventLabel, moment, number, streamHref } from "../format.js";
import { html, Time, useEffect, useLayoutEffect, useMemo, useRef, useState, visible } from "../ui.js";
import { everything, nearest, panned, showing, zoomed } from "./axis.js";
import { coloursOf, draw, LANE } from "./drawing.js";
import { LANES } from "./outline.js";
import { useMedia } from "./timing.js";

const REACH = 8;
const IN = 0.6;
const INKS = ["line", "muted", "text", "bad"];
/** Silences are cut from the start where else nearly nothing would be left of the rest. */
const MOSTLY_SILENT = 10;

/** The axis of `model`'s events; a click goes to an event. */
export function Lanes({ model, journey }) {
  const { outline, records, version } = model;
  const box = useRef(null);
  const inks = useRef(null);
  const [width, setWidth] = useState(0);
  const [chosen, setChosen] = useState(null);
  const [hovered, hover] = useState(0);
  const isSilent = useMemo(() => silent(outline), [version > 0]);
  const [wish, setCut] = useState(null);
  const isCut = wish ?? isSilent;
  const colours = useColours(inks);
  const places = outline.places(isCut);
  const events = { outline, places, lanes: outline.lanes, count: version, isCut };
  const all = everything(places, version);
  const placeOf = (at) => (at === 0 ? 0 : places[at - 1]);
  const view = chosen ?? all;
  const change = (next) => setChosen(next.until - next.from >= all.until - all.from ? null : next);
  const zoom = (factor, around = placeOf(journey.cursor)) => {
    const inside = around >= view.from && around <= view.until;
    change(zoomed(view, factor, inside ? around : (view.from + view.until) / 2, all));
  };

  useWidth(box, setWidth);
  useEffect(() => {
    if (chosen) change(showing(chosen, placeOf(journey.cursor), all));
  }, [journey.cursor]);
  useLayoutEffect(() => {
    if (width && colours) draw(box.current.querySelector("canvas"), { events, view, cursor: journey.cursor, hovered, width, colours });
  });
  useEffect(() => hovered && records.want("hover", hovered, hovered), [hovered]);

  const placeAt = (event) => view.from + (event.offsetX / width) * (view.until - view.from);
  const eventAt = (event, far = REACH) => {
    const reach = (far / width) * (view.until - view.from);
    return nearest(events, placeAt(event), Math.floor(event.offsetY / LANE), reach);
  };
  usePointer(box, { width, view, all, change, zoom, hover, eventAt, placeAt, go: journey.go });
  const press = (event) => {
    const act = { "+": () => zoom(IN), "=": () => zoom(IN), "-": () => zoom(1 / IN), 0: () => setChosen(null) }[event.key];
    if (!act || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    act();
  };
  const told = hovered || journey.cursor;
  return html`
    <section class="lanes" aria-label="Time axis">
      <div class="lane-names" ref=${inks} aria-hidden="true">
        ${LANES.map((lane) => html`<span key=${lane} data-ink=${lane} class=${`lane-${lane}`}>${lane}</span>`)}
        ${INKS.map((ink) => html`<i key=${ink} data-ink=${ink} class=${`ink-${ink}`}></i>`)}
      </div>
      <div class="lane-box" ref=${box} role="slider" tabIndex="0" aria-label="Event on the time axis" aria-valuemin="0"
        aria-valuemax=${version} aria-valuenow=${journey.cursor} aria-valuetext=${spoken(model, journey.cursor)} onKeyDown=${press}>
        <canvas aria-hidden="true"></canvas>
      </div>
      <p class="lane-told"><${Told} model=${model} version=${told} /></p>
      <div class="axis-tools" role="group" aria-label="The part of the axis that is shown">
        <button type="button" onClick=${() => zoom(IN)} aria-label="Zoom in">+</button>
        <button type="button" onClick=${() => zoom(1 / IN)} aria-label="Zoom out" disabled=${chosen === null}>−</button>
        <button type="button" onClick=${() => change(panned(view, (view.from - view.until) / 3, all))} aria-label="Earlier" disabled=${chosen === null}>‹</button>
        <button type="button" onClick=${() => change(panned(view, (view.until - view.from) / 3, all))} aria-label="Later" disabled=${chosen === null}>›</button>
        <button type="button" onClick=${() => setChosen(null)} disabled=${chosen === null}>All</button>
        <button type="button" aria-pressed=${isCut ? "true" : "false"} onClick=${() => { setCut(!isCut); setChosen(null); }}>Cut silences</button>
      </div>
      <${AsTable} model=${model} />
    </section>`;
}

function silent(outline) {
  const last = outline.version - 1;
  return last > 0 && outline.places()[last] > MOSTLY_SILENT * outline.places(true)[last];
}

/** What an event is, for who cannot see where it is. */
export function spoken({ outline, version }, at) {
  if (at === 0 || at > version) return "before the first event";
  return `event ${at} of ${version}, ${LANES[outline.lane(at)]}, ${eventLabel(outline.event(at))}, ${moment(outline.time(at))}`;
}

function Told({ model, version }) {
  if (version === 0) return "Before the first event";
  const says = model.records.get(version)?.says;
  return html`<b>${number(version)}</b> <${Time} at=${model.outline.time(version)} as="precise" /> ${eventLabel(model.outline.event(version))}${says && html` — ${visible(says)}`}`;
}

/** The same in words: how much each lane has, and from where to where. */
function AsTable({ model }) {
  const [isOpen, open] = useState(false);
  return html`
    <details class="lane-table" onToggle=${(event) => open(event.currentTarget.open)}>
      <summary>As a table</summary>
      ${isOpen && html`<table>
        <thead><tr><th scope="col">Lane</th><th scope="col">Events</th><th scope="col">First</th><th scope="col">Last</th></tr></thead>
        <tbody>${model.outline.summary().map(({ lane, events, first, last }) => html`<tr key=${lane}>
          <th scope="row">${lane}</th><td>${count(events, "event")}</td>
          <td>${first > 0 && html`<${Place} model=${model} version=${first} />`}</td>
          <td>${last > 0 && html`<${Place} model=${model} version=${last} />`}</td></tr>`)}</tbody>
      </table>`}
    </details>`;
}

const Place = ({ model, version }) => html`
  <a href=${streamHref(model.stream, version)}>${number(version)}</a> <${Time} at=${model.outline.time(version)} as="precise" />`;

function useWidth(box, setWidth) {
  useEffect(() => {
    const place = box.current;
    const look = () => setWidth(place.clientWidth);
    const watching = new ResizeObserver(look);
    watching.observe(place);
    look();
    return () => watching.disconnect();
  }, []);
}

/** The colours, read again when the scheme changes. */
function useColours(inks) {
  const isDark = useMedia("(prefers-color-scheme: dark)");
  const isPlain = useMedia("(forced-colors: active)");
  const [colours, set] = useState(null);
  useEffect(() => set(coloursOf(inks.current)), [isDark, isPlain]);
  return colours;
}

/** Wheel: stretch, with Shift or sideways: move. Drag: move. Click: go there. */
function usePointer(box, acts) {
  const latest = useRef(acts);
  latest.current = acts;
  useEffect(() => {
    const place = box.current;
    let drag = null;
    const wheel = (event) => {
      const { view, all, width, change, zoom, placeAt } = latest.current;
      event.preventDefault();
      const sideways = event.shiftKey && event.deltaX === 0 ? event.deltaY : event.deltaX;
      if (Math.abs(sideways) > Math.abs(event.deltaY) || event.shiftKey) change(panned(view, (sideways / width) * (view.until - view.from), all));
      else zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY / 250))), placeAt(event));
    };
    const down = (event) => {
      if (event.button !== 0) return;
      drag = { x: event.clientX, view: latest.current.view, isFar: false };
      place.setPointerCapture(event.pointerId);
    };
    const moved = (event) => {
      const { all, width, change, hover, eventAt } = latest.current;
      if (drag === null) return hover(eventAt(event));
      const by = drag.x - event.clientX;
      drag.isFar ||= Math.abs(by) > 3;
      return drag.isFar && change(panned(drag.view, (by / width) * (drag.view.until - drag.view.from), all));
    };
    const up = (event) => {
      const { eventAt, width } = latest.current;
      const found = drag && !drag.isFar ? eventAt(event) || eventAt(event, width) : 0;
      drag = null;
      if (found > 0) latest.current.go(found);
    };
    const leave = () => latest.current.hover(0);
    const cancel = () => (drag = null);
    const heard = { pointerdown: down, pointermove: moved, pointerup: up, pointerleave: leave, pointercancel: cancel };
    place.addEventListener("wheel", wheel, { passive: false });
    for (const [name, hear] of Object.entries(heard)) place.addEventListener(name, hear);
    return () => {
      place.removeEventListener("wheel", wheel);
      for (const [name, hear] of Object.entries(heard)) place.removeEventListener(name, hear);
    };
  }, []);
}

