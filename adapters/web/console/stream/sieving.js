// The controls for what the list of events leaves out. Travelling goes through all events all the same.

import { html, useMemo, useState } from "../ui.js";
import { count } from "../format.js";
import { LANES } from "./outline.js";
import { isPiece, Sieve } from "./sieve.js";

const KEY = "callboard.without-pieces";
/** Of the stream that was shown last: the list may go and come back, as where it is a tab. */
let hiddenThen = { stream: null, hidden: [] };

/** [sieve, controls] for the events of `model`. The box is remembered by the browser, the lanes as long as one stays. */
export function useSieve(model) {
  const [withoutPieces, setWithout] = useState(remembered);
  const [hidden, hide] = useState(() => (hiddenThen.stream === model.stream ? hiddenThen.hidden : []));
  const { outline } = model;
  const sieve = useMemo(() => new Sieve(outline, { withoutPieces, hidden }), [outline, withoutPieces, hidden]).grow();
  const toggle = (lane) => {
    const next = hidden.includes(lane) ? hidden.filter((each) => each !== lane) : [...hidden, lane];
    hiddenThen = { stream: model.stream, hidden: next };
    hide(next);
  };
  const leave = (event) => {
    remember(event.currentTarget.checked);
    setWithout(event.currentTarget.checked);
  };
  const hasPieces = withoutPieces || outline.names.some(isPiece);
  const controls = html`
    <div class="event-sieve" role="group" aria-label="What is listed">
      ${LANES.map((lane, index) => html`
        <button type="button" key=${lane} class=${`quiet event-lane lane-${lane}`} aria-pressed=${hidden.includes(index) ? "false" : "true"}
          title=${hidden.includes(index) ? `List the lane ${lane}` : `Leave the lane ${lane} out`} onClick=${() => toggle(index)}>${lane}</button>`)}
      ${hasPieces && html`<label><input type="checkbox" checked=${withoutPieces} onChange=${leave} /> without pieces</label>`}
      <span class="muted">${sieve.leftOut > 0 && `${count(sieve.leftOut, "event")} left out`}</span>
    </div>`;
  return [sieve, controls];
}

function remembered() {
  try {
    return localStorage.getItem(KEY) === "true";
  } catch {
    return false; // a browser may forbid to remember
  }
}

function remember(wish) {
  try {
    localStorage.setItem(KEY, String(wish));
  } catch {
    // then it holds as long as the list is there
  }
}
