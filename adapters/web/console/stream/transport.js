// Where one is in the stream: the slider, the buttons, playing, and the keys of the whole view.

import { duration, moment, number } from "../format.js";
import { html, Time, useEffect, useRef } from "../ui.js";
import { useKeys } from "../keys.js";
import { spoken } from "./lanes.js";
import { SPEEDS } from "./playing.js";

const FAR = 10;

/** The slider over all versions, 0 to the last, with its buttons. */
export function Transport({ model, journey, isConnected = true }) {
  const { outline, version } = model;
  const { cursor, isPlaying, speed, go } = journey;
  useTravelKeys(journey, version);
  const slide = (event) => go(event.currentTarget.valueAsNumber);
  const isEnd = cursor === version;
  return html`
    <div class="transport" role="group" aria-label="Time travel">
      <div class="transport-buttons">
        <button type="button" onClick=${() => go(0)} disabled=${cursor === 0} aria-label="To the beginning">|‹</button>
        <button type="button" onClick=${() => go(cursor - 1)} disabled=${cursor === 0} aria-label="One event back">‹</button>
        <button type="button" class="play" onClick=${() => journey.play(!isPlaying)}>${isPlaying ? "Pause" : "Play"}</button>
        <button type="button" onClick=${() => go(cursor + 1)} disabled=${isEnd} aria-label="One event on">›</button>
        <button type="button" onClick=${() => go(version)} disabled=${isEnd} aria-label="To the end">›|</button>
        <label class="speed"><span class="hidden">Speed</span>
          <select value=${String(speed)} onChange=${(event) => journey.setSpeed(Number(event.currentTarget.value))}>
            ${SPEEDS.map((one) => html`<option key=${one} value=${String(one)}>${one === 0.5 ? "½" : one}×</option>`)}
          </select></label>
      </div>
      <input class="travel" type="range" min="0" max=${version} step="1" value=${cursor} aria-label="Version of the stream"
        aria-valuetext=${spoken(model, cursor)} onInput=${slide} />
      <p class="transport-place"><b>${number(cursor)}</b> <span class="muted">of ${number(version)}</span>
        ${cursor > 0 && html` <${Time} at=${outline.time(cursor)} as="precise" /> <span class="muted" title=${moment(outline.time(cursor))}>+${duration(outline.time(cursor) - outline.first)}</span>`}
        <span class=${`chip ${journey.isFollowing && isConnected ? "following" : ""}`}>${placeOf(journey.isFollowing, isConnected)}</span></p>
    </div>`;
}

function placeOf(isFollowing, isConnected) {
  if (!isFollowing) return "in the past";
  return isConnected ? "at the end, following" : "at the end, not connected";
}

/** Keys anywhere in the view, but where they mean something else. */
function useTravelKeys(journey, version) {
  const latest = useRef(null);
  latest.current = { journey, version };
  useEffect(() => {
    const press = (event) => travel(event, latest.current);
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, []);
  useKeys([ // told by the help for keys; what they do is in `travel`, as it goes by what has the focus
    { keys: "←", does: "One event back (Shift: 10)" },
    { keys: "→", does: "One event on (Shift: 10)" },
    { keys: "Space", does: "Play, pause" },
    { keys: "Home", does: "Before the first event" },
    { keys: "End", does: "To the end, and along with it" },
  ]);
}

function travel(event, { journey, version }) {
  if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey) return;
  const { target } = event;
  const isOwn = target.matches?.("input.travel, .lane-box");
  if (!isOwn && target.closest?.("input, textarea, select, audio, dialog, [contenteditable], [role=menu], [role=tab]")) return;
  const by = event.shiftKey ? FAR : 1;
  const isReading = target.closest?.("[role=tabpanel]") && target.scrollHeight > target.clientHeight;
  const act = {
    ArrowLeft: () => journey.go(journey.cursor - by),
    ArrowRight: () => journey.go(journey.cursor + by),
    Home: isReading ? null : () => journey.go(0),
    End: isReading ? null : () => journey.go(version),
    " ": target.closest?.("button, a, summary") ? null : () => journey.play(!journey.isPlaying),
  }[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}
