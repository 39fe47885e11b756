// How the server is, in one line of figures.

import { html } from "../ui.js";
import { count, number } from "../format.js";

const FIGURES = [
  ["tail_lag", "Tail lag", "events that are durable and not yet told", (lag) => lag > 100],
  ["board_lag", "Board lag", "events that are durable and not yet on the server's board", (lag) => lag > 100],
  ["actors", "Actors", "actors in memory", () => false],
  ["listeners", "Listeners", "listeners to streams", () => false],
  ["letters", "Letters", "commands that wait in all mailboxes", () => false],
  ["deepest_mailbox", "Deepest mailbox", "commands that wait in the fullest mailbox", (depth) => depth >= 16],
];

const SINCE_START = [
  ["restarts", "actor restarts", "actors started again after a crash", (restarts) => restarts > 0],
  ["rejections", "rejected", "commands that were rejected", () => false],
  ["busy", "turned away", "commands turned away because a mailbox was full", (busy) => busy > 0],
];

/** The figures of `vitals`; those that want attention stand out. */
export function Health({ vitals, head }) {
  const sockets = Object.entries(vitals.sockets ?? {});
  const open = sockets.reduce((sum, [, amount]) => sum + amount, 0);
  return html`
    <dl class="health panel">
      <div><dt>Server</dt><dd class=${vitals.ready ? "good" : "bad"}>${vitals.ready ? "ready" : "not ready"}</dd></div>
      <div title="The position of the last event"><dt>Log at</dt><dd>${number(head)}</dd></div>
      ${FIGURES.map(([id, label, title, isOdd]) => html`
        <div key=${id} title=${title}><dt>${label}</dt><dd class=${isOdd(vitals[id]) ? "warn" : ""}>${number(vitals[id])}</dd></div>`)}
      <div title=${sockets.map(([dialect, amount]) => `${dialect} ${amount}`).join(", ")}><dt>Sockets</dt>
        <dd>${number(open)} <span class="muted">${sockets.filter(([, amount]) => amount).map(([dialect, amount]) => `${dialect} ${amount}`).join(", ")}</span>
          <span class="hidden">${count(open, "open socket")}</span></dd></div>
      <div class="since-start"><dt>Since the start</dt>
        ${SINCE_START.map(([id, label, title, isOdd]) => html`
          <dd key=${id} title=${title} class=${isOdd(vitals[id]) ? "warn" : ""}>${number(vitals[id])} <span class="muted">${label}</span></dd>`)}</div>
    </dl>`;
}
