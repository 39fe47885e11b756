// One stream: its lanes, its events, and travelling through them.

import { count, duration, number, shortId, category } from "../format.js";
import { socket } from "../server.js";
import { Empty, Failure, html, Loading, Tabs, Time, useSocketStatus, useState, spelled, visible } from "../ui.js";
import { Acts } from "../stream/acts.js";
import { CausesPanel } from "../stream/causes_panel.js";
import { EventPanel } from "../stream/event_panel.js";
import { FramesPanel } from "../stream/frames_panel.js";
import { useJourney, useModel } from "../stream/journey.js";
import { isOver, toneOf, useLabel } from "../stream/phase.js";
import { Lanes } from "../stream/lanes.js";
import { EventList } from "../stream/list.js";
import { StatePanel } from "../stream/state_panel.js";
import { useMedia } from "../stream/timing.js";
import { Transport } from "../stream/transport.js";

const SKELETON_ROWS = 12;

/** The view of `stream`, at version `at` (null: at its end, going along). */
export const StreamView = (props) => html`<${Stream} key=${props.stream} ...${props} />`;

function Stream({ stream, at, roles }) {
  const model = useModel(stream);
  const journey = useJourney(model, at);
  const status = useSocketStatus(socket);
  const label = useLabel(model);
  const [kind, id] = [category(stream), stream.slice(category(stream).length + 1)];
  return html`
    <section class="stream" aria-label="Stream">
      <header class="stream-head">
        <h1 title=${spelled(stream)}>${id ? html`<span class="muted">${kind}</span> ${visible(shortId(id, 48))}` : visible(shortId(stream, 48))}</h1>
        ${model.status === "ready" && html`
          ${label && html`<p><span class="hidden">At its end: </span><span class=${`chip ${toneOf(label)}`} title="How it is at its end">${label.replaceAll("_", " ")}</span></p>`}
          <${Extent} model=${model} />
          <${Acts} model=${model} cursor=${journey.cursor} roles=${roles} over=${isOver(kind, label) ? label : ""} />`}
      </header>
      ${status !== "open" && model.status === "ready" && html`<${Away} status=${status} model=${model} />`}
      ${model.status === "ready" && model.failure && status === "open" && html`<p class="notice" role="status">What is recorded now does not come: ${model.failure.message}</p>`}
      ${model.isFull && html`<p class="notice">Here are the first ${count(model.version, "event")} of the stream, and no more; those behind them are <a href=${`#/audit?${new URLSearchParams({ stream })}`}>in the audit</a>.</p>`}
      ${model.status === "ready" && at > model.version && journey.isFollowing && html`<p class="notice" role="status">The stream has no event ${number(at)}; its end is ${number(model.version)}.</p>`}
      <${Body} model=${model} journey=${journey} status=${status} />
    </section>`;
}

function Extent({ model }) {
  const { outline, version } = model;
  return html`<p class="muted">${count(version, "event")} in ${duration(outline.time(version) - outline.first)}, from <${Time} at=${outline.first} as="moment" /></p>`;
}

/** The connection is away: what is here stays, and says so. */
function Away({ status, model }) {
  const since = html`<${Time} at=${model.outline.time(model.version)} as="moment" />`;
  if (status === "refused") return html`<p class="notice" role="status">The server turned the console away: ${socket.reason || "no reason given"}. What is shown ends at ${since}.</p>`;
  return html`<p class="notice" role="status">Not connected; it comes back by itself and fills up what is missed. What is shown ends at ${since}.</p>`;
}

function Body({ model, journey, status }) {
  switch (model.status) {
    case "ready":
      return html`<${Travel} model=${model} journey=${journey} status=${status} />`;
    case "missing":
      return html`<${Empty} title="There is no such stream">
        <p>The log has no event of <code>${visible(model.stream)}</code>. If one is recorded it appears here.</p><p><a href="#">To the board</a></p><//>`;
    case "failed":
      return html`<${Failure} title="The stream cannot be read" error=${model.failure} retry=${() => model.again()} />`;
    default:
      return html`<${Skeleton} status=${status} />`;
  }
}

/** What is on its way, in its shape. */
function Skeleton({ status }) {
  return html`
    <${Loading} what=${status === "open" ? "Reading the stream" : status === "refused" ? "The server turned the console away" : "Connecting"} />
    <div class="skeleton" aria-hidden="true">
      <div class="skeleton-lanes"></div>
      ${Array.from({ length: SKELETON_ROWS }, (_, n) => html`<div key=${n} class="skeleton-row"></div>`)}
    </div>`;
}

function Travel({ model, journey, status }) {
  const isNarrow = useMedia("(max-width: 860px)");
  const [panel, setPanel] = useState(isNarrow ? "events" : "state");
  const { cursor } = journey;
  const list = () => html`<${EventList} model=${model} journey=${journey} isNarrow=${isNarrow} />`;
  const tabs = [
    { id: "state", label: "State", content: () => html`<${StatePanel} model=${model} cursor=${cursor} />` },
    { id: "event", label: "Event", content: () => html`<${EventPanel} model=${model} cursor=${cursor} />` },
    { id: "frames", label: "Frames", content: () => html`<${FramesPanel} model=${model} journey=${journey} />` },
    { id: "causes", label: "Causes", content: () => html`<${CausesPanel} model=${model} journey=${journey} />` },
  ];
  if (isNarrow) tabs.unshift({ id: "events", label: "Events", content: list });
  const selected = tabs.some(({ id }) => id === panel) ? panel : "state";
  return html`
    <${Transport} model=${model} journey=${journey} isConnected=${status === "open"} />
    <${Lanes} model=${model} journey=${journey} />
    <div class=${`stream-body ${isNarrow ? "narrow" : "wide"}`}>
      ${!isNarrow && html`<section class="stream-events" aria-label="Events">${list()}</section>`}
      <section class="stream-panel" aria-label="At this event">
        <${Tabs} tabs=${tabs} selected=${selected} onSelect=${setPanel} label="At this event" />
      </section>
    </div>`;
}
