// The live board: every live conversation, session and call, and how the server does.

import { Failure, html, Loading, useEffect, useMemo, useSocketStatus, useState } from "../ui.js";
import { clock, number } from "../format.js";
import { socket } from "../server.js";
import { useKeys } from "../keys.js";
import { Fold } from "../board/fold.js";
import { Health } from "../board/health.js";
import { Lately } from "../board/lately.js";
import { Live } from "../board/live.js";
import { EVERYTHING, FIRST_WISH, isWished, tally } from "../board/order.js";
import { refreshBoard, useBoard } from "../board/poll.js";
import { Sparks } from "../board/sparks.js";
import { Table } from "../board/table.js";
import { Ticker } from "../board/ticker.js";

// Kept while one is elsewhere: who comes back from a stream finds the board as it was.
let lastWish = FIRST_WISH;

/** The board. */
export function BoardView() {
  const live = useMemo(() => new Live(), []);
  const { board, since, error } = useBoard(1000);
  const [wish, setWish] = useState(lastWish);
  const [isPaused, setPaused] = useState(false);
  const status = useSocketStatus(socket);
  useEffect(() => live.start(), [live]);
  const change = (fresh) => setWish((lastWish = fresh));
  const pause = () => {
    live.isPaused = !isPaused;
    setPaused(live.isPaused);
  };
  useKeys([{ keys: "p", does: "Pause the board, or go on", run: pause }]);
  return html`
    <div class="board-head">
      <h1>Board</h1>
      ${board && html`<button type="button" aria-pressed=${isPaused ? "true" : "false"} onClick=${pause}>${isPaused ? "Go on" : "Pause"}</button>`}
    </div>
    ${board && html`<${Body} live=${live} known=${{ board, since, error }} wish=${wish} onWish=${change} status=${status} isPaused=${isPaused} />`}
    ${!board && (error
      ? html`<${Failure} title="The board cannot be read" error=${error} retry=${refreshBoard} />`
      : html`<${Loading} what="Reading the board" />`)}`;
}

function Body({ live, known, wish, onWish, status, isPaused }) {
  const { board, since, error } = known;
  return html`
    <div role="status"><${Notice} error=${error} since=${since} status=${status} isPaused=${isPaused} refusal=${live.refusal} /></div>
    <div class=${`board-body ${error ? "stale" : ""}`}>
      <${Fold} title="Health and rates">
        <${Health} vitals=${board.vitals} head=${board.head} />
        <${Sparks} rates=${live.rates} round=${live.polled} />
      </${Fold}>
      <div class="board-columns">
        <section aria-label="Live streams">
          <${Filters} board=${board} wish=${wish} onWish=${onWish} />
          <${Table} live=${live} wish=${wish} onWish=${onWish} />
          <${Lately} live=${live} wish=${wish} />
        </section>
        <${Ticker} live=${live} />
      </div>
    </div>`;
}

/** Why what is shown is not the present, if it is not. */
function Notice({ error, since, status, isPaused, refusal }) {
  if (error) return html`<p class="notice">Not up to date since ${clock(since)}: ${error.message}. It is asked again and again.</p>`;
  if (isPaused) return html`<p class="notice">Paused: the board stays as it is. Nothing is lost, go on to see the present.</p>`;
  if (refusal) return html`<p class="notice">No live events: ${refusal.message}. The figures are still those of each second.</p>`;
  if (status === "open" || (status === "connecting" && !socket.hello)) return null; // for the first time on the way
  return html`<p class="notice">No live events since the connection ${status === "refused" ? "was refused" : "went"}. The figures are still those of each second.</p>`;
}

function Filters({ board, wish, onWish }) {
  const { streams, truncated } = board;
  const kinds = tally(streams, "kind");
  const wished = streams.filter(({ kind }) => isWished(kind, wish.kind));
  const set = (field) => (event) => onWish({ ...wish, [field]: event.currentTarget.value });
  return html`
    <div class="filters row">
      <label class="hidden" for="board-search">Filter these rows by name and last event</label>
      <input id="board-search" type="search" placeholder="Filter these rows" value=${wish.text} onInput=${set("text")} />
      <${Choice} label="Kind" all="All but audit, delivery" options=${kinds} value=${wish.kind} onChange=${set("kind")}>
        <option value=${EVERYTHING}>Everything (${streams.length})</option>
      </${Choice}>
      <${Choice} label="State" all="All states" options=${tally(wished, "label")} value=${wish.label} onChange=${set("label")} />
      <span class="muted">${number(wished.length)} in memory${truncated ? " were the last to change; there are more" : ""}; others sleep</span>
    </div>`;
}

function Choice({ label, all, options, value, onChange, children }) {
  const isGone = value && value !== EVERYTHING && !options.some(([name]) => name === value);
  return html`
    <label><span class="hidden">${label}</span>
      <select value=${value} onChange=${onChange}>
        <option value="">${all}</option>
        ${options.map(([name, amount]) => html`<option key=${name} value=${name}>${String(name).replaceAll("_", " ")} (${amount})</option>`)}
        ${children}
        ${isGone && html`<option value=${value}>${value} (0)</option>`}
      </select>
    </label>`;
}
