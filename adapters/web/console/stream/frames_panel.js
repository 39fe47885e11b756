// What the clients of each dialect were sent of the event, byte for byte as it was.

import { Copy, Empty, Failure, html, Loading, useAnswer, spelled, visible } from "../ui.js";
import { number } from "../format.js";
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
  const told = answer.dialects.filter(({ frames }) => frames.length > 0);
  const silent = answer.dialects.filter(({ frames }) => frames.length === 0).map(({ dialect }) => dialect);
  return html`
    <div class="frames" data-version=${at}>
      ${button}
      <h3>What clients were sent of event ${number(at)}</h3>
      ${told.length === 0 && html`<${Empty} title="No client was sent anything of this event" />`}
      ${told.map(({ dialect, frames }) => html`<section key=${dialect} aria-label=${dialect}>
        <h4>${dialect}</h4>
        <ol role="list">${frames.map((frame, n) => html`<li key=${n}><${Frame} frame=${frame} /></li>`)}</ol></section>`)}
      ${silent.length > 0 && told.length > 0 && html`<p class="muted">Nothing in ${silent.join(", ")}.</p>`}
    </div>`;
}

function Frame({ frame }) {
  const body = frame.text ?? frame.base64;
  return html`
    <p class="frame-head"><span class="muted">${WHOM[frame.to] ?? frame.to}${frame.text === undefined && frame.base64 !== undefined ? ", binary, as base64" : ""}</span>
      ${body !== undefined && html` <${Copy} text=${body} />`}</p>
    ${body !== undefined && html`<pre tabIndex="0">${visible(body)}</pre>`}
    ${frame.close && html`<p>The socket was closed with ${frame.close.code}${frame.close.reason && `: ${spelled(frame.close.reason)}`}</p>`}`;
}
