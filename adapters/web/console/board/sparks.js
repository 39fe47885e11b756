// The four lines of the server's work over the last two minutes, each with its value and in words.

import { html, useEffect, useRef, useState } from "../ui.js";
import { number } from "../format.js";
import { LINES } from "./rates.js";
import uPlot from "../vendor/uplot.js";

const SPAN = 120;
const HEIGHT = 40;
const DARK = matchMedia("(prefers-color-scheme: dark)");

/** The tiles; drawn again when `round` changes. */
export function Sparks({ rates, round }) {
  return html`
    <section class="sparks" aria-label="The server's work over the last two minutes">
      ${LINES.map(([id, label, unit, words]) => html`
        <figure class="panel spark" key=${id}>
          <figcaption>${label}</figcaption>
          <p class="spark-value"><strong>${shown(rates.columns[id].at(-1))}</strong> <span class="muted">${unit}</span></p>
          <${Line} at=${rates.at} values=${rates.columns[id]} round=${round} text=${inWords(label, words, rates.columns[id])} />
        </figure>`)}
    </section>`;
}

function Line({ at, values, round, text }) {
  const place = useRef(null);
  const plot = useRef(null);
  const [dark, setDark] = useState(DARK.matches);
  useEffect(() => {
    const follow = () => setDark(DARK.matches);
    DARK.addEventListener("change", follow);
    return () => DARK.removeEventListener("change", follow);
  }, []);
  useEffect(() => {
    plot.current = new uPlot(options(place.current), [at, values], place.current);
    const resized = new ResizeObserver(([entry]) => plot.current.setSize({ width: entry.contentRect.width, height: HEIGHT }));
    resized.observe(place.current);
    return () => {
      resized.disconnect();
      plot.current.destroy();
    };
  }, [dark]);
  useEffect(() => plot.current.setData([at, values]), [round]);
  return html`<div class="spark-line" role="img" aria-label=${text} ref=${place}></div>`;
}

function options(place) {
  const color = getComputedStyle(place).getPropertyValue("--accent").trim();
  const hidden = { show: false };
  return {
    width: place.clientWidth || 200,
    height: HEIGHT,
    padding: [3, 0, 1, 0],
    axes: [hidden, hidden],
    legend: hidden,
    cursor: hidden,
    scales: {
      x: { time: false, range: (_, __, newest) => [newest - SPAN, newest] },
      y: { range: (_, __, most) => [0, most > 0 ? most * 1.1 : 1] },
    },
    series: [{}, { stroke: color, fill: `${color}22`, width: 1.5, points: hidden }],
  };
}

const shown = (value) => number(value == null ? null : value >= 100 ? Math.round(value) : value);

function inWords(label, words, values) {
  const known = values.filter((value) => value !== null);
  if (!known.length) return `${label}, ${words}: nothing known yet`;
  return `${label}, ${words}: now ${shown(values.at(-1))}, at least ${shown(Math.min(...known))}, at most ${shown(Math.max(...known))}`;
}
