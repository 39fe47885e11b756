// What the clients of each dialect were sent of the event, byte for byte as it was.

import { Copy, Empty, Failure, html, Loading, useAnswer, spelled, visible } from "../ui.js";
import { category, number } from "../format.js";
import { get } from "../server.js";
import { useAsked } from "./timing.js";

const PAUSE = 200;
const WHOM = { everyone: "to everyone", origin: "to who caused it", others: "to all others" };

/** Loaded while the panel is open, when one stays at an event for a moment. */
export function FramesPanel({ model, journey }) {
  const { cursor } = journey;
  const { at, isHeld, button } = useAsked(model.stream, journey, PAUSE, "Show the frames");
  const path = `/api/audit/streams/${encodeURIComponent(model.stream)}/frames`;
  const [answer, error, reload] = useAnswer((signal) => (!at ? Promise.resolve({ dialects: [] }) : get(path, { at }, signal)), [path, at]);
  if (error) return html`<${Failure} title="The frames cannot be shown" error=${error} retry=${reload} />`;
  if (at === null) return button;
  if (!answer || (at !== cursor && !isHeld)) return html`<${Loading} what="Rendering the frames" />`;
  const isAlone = nobody(model, at);
  const told = answer.dialects.filter(({ frames }) => frames.length > 0);
  const silent = answer.dialects.filter(({ frames }) => frames.length === 0).map(({ dialect }) => dialect);
  return html`
    <div class="frames" data-version=${at}>
      ${button}
      <h3>What its clients are sent of event ${number(at)}</h3>
      ${isAlone && told.length > 0 && html`<p class="notice">Nobody was listening then. This is what a client would have been sent.</p>`}
      ${told.length === 0 && html`<${Empty} title="No client is sent anything of this event" />`}
      ${told.map(({ dialect, frames }) => html`<section key=${dialect} aria-label=${dialect}>
        <h4>${dialect}</h4>
        <ol role="list">${frames.map((frame, n) => html`<li key=${n}><${Frame} frame=${frame} /></li>`)}</ol></section>`)}
      ${silent.length > 0 && told.length > 0 && html`<p class="muted">Nothing in ${silent.join(", ")}.</p>`}
    </div>`;
}

/** Who of the stream's clients is there, by its state, where the state says so. */
const PRESENT = { conversation: ({ clients }) => clients, session: ({ devices }) => devices };

/** Whether the state just after the event, or before it, says that no client was there. Who only listens is in no state. */
function nobody({ stream, states }, at) {
  const present = PRESENT[category(stream)];
  const told = [at, at - 1].map((version) => states.get(version)).filter(Boolean).map((state) => present?.(state)?.length);
  return told.length > 0 && told.every((amount) => amount === 0);
}

function Frame({ frame }) {
  const body = frame.text ?? frame.base64;
  return html`
    <p class="frame-head"><span class="muted">${WHOM[frame.to] ?? frame.to}${frame.text === undefined && frame.base64 !== undefined ? ", binary, as base64" : ""}</span>
      ${body !== undefined && html` <${Copy} text=${body} />`}</p>
    ${body !== undefined && html`<pre tabIndex="0">${visible(body)}</pre>`}
    ${frame.close && html`<p>The socket was closed with ${frame.close.code}${frame.close.reason && `: ${spelled(frame.close.reason)}`}</p>`}`;
}
