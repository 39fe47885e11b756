// Where events are on an axis of time, and how many share a pixel. Pure: places in µs, sizes in pixels.

import { countBefore, LANES } from "./outline.js";

/** µs: nobody looks closer. */
const SHORTEST_SPAN = 200;
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500].map((n) => n * 1000).concat(
  [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 604800].map((n) => n * 1_000_000),
);

/** All of the events, with a little room at both ends: `{from, until}`. */
export function everything(places, count) {
  const last = count === 0 ? 0 : places[count - 1];
  const room = Math.max(last * 0.01, SHORTEST_SPAN);
  return { from: -room, until: last + room };
}

/** The part of the axis `factor` times as long, with `around` where it was; never beyond `all`. */
export function zoomed({ from, until }, factor, around, all) {
  const wished = (until - from) * factor;
  const span = Math.min(all.until - all.from, Math.max(SHORTEST_SPAN, wished));
  const share = (around - from) / (until - from);
  return within({ from: around - share * span, until: around + (1 - share) * span }, all);
}

/** Moved by `by` µs, as far as there is anything. */
export function panned({ from, until }, by, all) {
  return within({ from: from + by, until: until + by }, all);
}

/** Moved so that `place` is in it, if it is not. */
export function showing(view, place, all) {
  if (place >= view.from && place <= view.until) return view;
  const half = (view.until - view.from) / 2;
  return within({ from: place - half, until: place + half }, all);
}

function within({ from, until }, all) {
  const span = Math.min(until - from, all.until - all.from);
  const begin = Math.min(Math.max(from, all.from), all.until - span);
  return { from: begin, until: begin + span };
}

/** How many events of each lane fall into each of `width` columns: `counts[lane * width + column]`; `most` of them in one, and
 * `inside`, how many in all. */
export function columns({ places, lanes, count }, { from, until }, width) {
  const counts = new Uint32Array(LANES.length * width);
  const scale = width / (until - from);
  const begin = countBefore(places, count, from);
  const end = countBefore(places, count, until);
  let most = 0;
  for (let n = begin; n < end; n += 1) {
    const column = Math.min(width - 1, ((places[n] - from) * scale) | 0);
    const sum = (counts[lanes[n] * width + column] += 1);
    if (sum > most) most = sum;
  }
  return { counts, most, inside: end - begin };
}

/** The version of the event nearest to `place`, of `lane` where there is one within `reach` µs, else of any; 0: none within. */
export function nearest({ places, lanes, count }, place, lane, reach) {
  const middle = countBefore(places, count, place);
  let any = 0;
  let own = 0;
  const far = (n) => Math.abs(places[n] - place);
  const look = (n) => {
    if (any === 0 || far(n) < far(any - 1)) any = n + 1;
    if (lanes[n] === lane && (own === 0 || far(n) < far(own - 1))) own = n + 1;
  };
  for (let n = middle; n < count && far(n) <= reach; n += 1) {
    look(n);
    if (own > middle) break;
  }
  for (let n = middle - 1; n >= 0 && far(n) <= reach; n -= 1) {
    look(n);
    if (lanes[n] === lane) break;
  }
  return own || any;
}

/** Places for marks on the axis: whole steps behind `first` (µs UTC), about 110 pixels from each other. */
export function ticks({ from, until }, width, first) {
  const wished = ((until - from) * 110) / Math.max(width, 1);
  const step = STEPS.find((one) => one >= wished) ?? STEPS.at(-1) * Math.ceil(wished / STEPS.at(-1));
  const places = [];
  for (let at = Math.ceil((first + from) / step) * step; at <= first + until; at += step) places.push(at - first);
  return { step, places };
}
