// The lanes on a canvas.

import { clock, duration } from "../format.js";
import { columns, ticks } from "./axis.js";
import { countBefore, LANES } from "./outline.js";

/** Pixels; stream.css has the same. */
export const LANE = 20;
const AXIS = 20;
export const HEIGHT = LANES.length * LANE + AXIS;
/** Pixels of one mark, or of one column where there are many. */
const MARK = 3;
const COLUMN = 2;
/** Up to so many events in sight each has its own mark, and what was rejected is seen. */
const FEW = 2000;

/** Draw `events` ({outline, places, lanes, count}) between `view.from` and `view.until`; `cursor` is a version. */
export function draw(canvas, { events, view, cursor, hovered, width, colours }) {
  const ratio = devicePixelRatio || 1;
  const [wide, high] = [Math.round(width * ratio), Math.round(HEIGHT * ratio)];
  if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, HEIGHT);
  const x = (place) => ((place - view.from) / (view.until - view.from)) * width;
  drawGrid(pen, { events, view, width, colours, x });
  if (hovered > 0 && hovered <= events.count) drawLine(pen, x(events.places[hovered - 1]), colours.muted, 1);
  drawEvents(pen, { events, view, width, colours, x });
  drawLine(pen, cursor === 0 ? x(0) - MARK : x(events.places[cursor - 1]), colours.text, 1);
}

function drawGrid(pen, { events, view, width, colours, x }) {
  pen.fillStyle = colours.line;
  for (let lane = 1; lane <= LANES.length; lane += 1) pen.fillRect(0, lane * LANE, width, 1);
  pen.font = `11px ${colours.font}`;
  pen.textBaseline = "middle";
  let free = 0;
  const { step, places } = ticks(view, width, events.isCut ? 0 : events.outline.first);
  for (const place of places) {
    const text = label(events, place, step);
    const left = x(place);
    pen.fillStyle = colours.line;
    pen.fillRect(Math.round(left), 0, 1, LANES.length * LANE + 4);
    const room = pen.measureText(text).width;
    if (left < free || left + room + 3 > width) continue;
    pen.fillStyle = colours.muted;
    pen.fillText(text, left + 3, HEIGHT - AXIS / 2 + 1);
    free = left + room + 12;
  }
}

/** The time of day; where silences are cut, the time played, as the places say nothing of the day. */
function label({ outline, isCut }, place, step) {
  if (isCut) return place < 0 ? "" : `+${duration(Math.round(place / 1000) * 1000)}`;
  return clock(outline.first + place, step < 1_000_000);
}

function drawEvents(pen, { events, view, width, colours, x }) {
  const many = Math.max(1, Math.floor(width / COLUMN));
  const { counts, most, inside } = columns(events, view, many);
  if (inside <= FEW) drawMarks(pen, { events, view, colours, x });
  else drawDensity(pen, { counts, most, many, colours });
}

function drawMarks(pen, { events, view, colours, x }) {
  const { places, lanes, count, outline } = events;
  for (let n = countBefore(places, count, view.from); n < count && places[n] <= view.until; n += 1) {
    pen.fillStyle = outline.event(n + 1).endsWith("rejected") ? colours.bad : colours.lanes[lanes[n]];
    pen.fillRect(Math.round(x(places[n])) - 1, lanes[n] * LANE + 4, MARK, LANE - 7);
  }
}

/** The more events share a column the higher it is; even one alone is seen. */
function drawDensity(pen, { counts, most, many, colours }) {
  const scale = (LANE - 8) / Math.log(1 + most);
  for (let lane = 0; lane < LANES.length; lane += 1) {
    pen.fillStyle = colours.lanes[lane];
    for (let column = 0; column < many; column += 1) {
      const sum = counts[lane * many + column];
      if (sum === 0) continue;
      const high = 4 + Math.log(1 + sum) * scale;
      pen.fillRect(column * COLUMN, (lane + 1) * LANE - 1 - high, COLUMN, high);
    }
  }
}

function drawLine(pen, left, colour, thick) {
  pen.fillStyle = colour;
  pen.fillRect(Math.round(left - thick / 2), 0, thick, LANES.length * LANE + 4);
}

/** The colours as the style sheet has them now; `inks` are elements that have them as their text's colour, by their name. */
export function coloursOf(inks) {
  const colour = (element) => getComputedStyle(element).color;
  const of = (name) => colour(inks.querySelector(`[data-ink="${name}"]`));
  return {
    lanes: LANES.map(of), line: of("line"), muted: of("muted"), text: of("text"), bad: of("bad"),
    font: getComputedStyle(inks).fontFamily,
  };
}
