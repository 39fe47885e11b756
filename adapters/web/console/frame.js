// What stands around every view: navigation, who one is, the connection, health at a glance.

import { Dialog, html, useEffect, useLayoutEffect, useRef, useSocketStatus, useState, useZone, visible } from "./ui.js";
import { clock, count, duration } from "./format.js";
import { GoTo } from "./go_to.js";
import { allKeys } from "./keys.js";
import { socket } from "./server.js";
import { isUtc, ownZone, showUtc } from "./zone.js";
import { useBoard } from "./board/poll.js";
import { useMedia } from "./stream/timing.js";

const PLACES = [["", "board", "Board"], ["/audit", "audit", "Audit"], ["/clients", "clients", "Clients"], ["/integrity", "integrity", "Integrity"]];
const GLANCE = 5000;
const SMALL = "(max-width: 480px)";

/** The page's header; where there is little room most of it is behind a button. */
export function Header({ route, me, onSignOut, onKeys }) {
  const bar = useRef(null);
  useLayoutEffect(() => toldHeight(bar.current), []);
  const isSmall = useMedia(SMALL);
  const more = html`
    ${me && html`<${Glance} />`}
    <${Zone} />
    ${me && html`<${Who} me=${me} onSignOut=${onSignOut} />`}
    <button type="button" class="quiet" aria-label="Keys" title="Keys (?)" onClick=${onKeys}>?</button>`;
  return html`
    <header class="top" ref=${bar}>
      <a class="brand" href="#">Callboard</a>
      <nav aria-label="Views">
        ${PLACES.map(([hash, name, label]) => html`
          <a key=${name} href=${`#${hash}`} aria-current=${route.name === name ? "page" : undefined}>${label}</a>`)}
      </nav>
      ${me && !isSmall && html`<${GoTo} />`}
      <div class="top-end">
        ${me && html`<${Connection} />`}
        ${!isSmall && more}
      </div>
      ${isSmall && html`<${Menu} key=${route.place}>${me && html`<${GoTo} />`}<div class="row">${more}</div><//>`}
    </header>`;
}

/** A button, and what it shows; closed again by whoever goes somewhere, and by Escape. */
function Menu({ children }) {
  const [isOpen, open] = useState(false);
  const button = useRef(null);
  const leave = (event) => {
    if (event.key !== "Escape" || !isOpen) return;
    open(false);
    button.current.focus();
  };
  return html`
    <button type="button" class="quiet menu-button" ref=${button} aria-expanded=${isOpen ? "true" : "false"} aria-controls="menu"
      onClick=${() => open(!isOpen)} onKeyDown=${leave}>Menu</button>
    <div id="menu" class="menu" hidden=${!isOpen} onKeyDown=${leave}>${isOpen && children}</div>`;
}

/** Keep --top at the header's height while it sticks: below it stick the heads of tables. Answers the function that ends it. */
function toldHeight(bar) {
  const tell = () => {
    const sticks = getComputedStyle(bar).position === "sticky";
    document.documentElement.style.setProperty("--top", `${sticks ? bar.offsetHeight : 0}px`);
  };
  const resized = new ResizeObserver(tell);
  resized.observe(bar);
  return () => resized.disconnect();
}

/** Whether the server is ready, how far what is told lags behind the log, and whether actors were started again. */
function Glance() {
  const { board, error, isDoubted } = useBoard(GLANCE);
  if (!board) return html`<span class="glance muted">${error ? "Health unknown" : ""}</span>`;
  const { ready, tail_lag: lag, restarts } = board.vitals;
  const [label, state] = isDoubted ? ["Asking", "unknown"] : error ? ["Unknown", "unknown"] : ready ? ["Ready", "good"] : ["Not ready", "bad"];
  const title = `${count(lag, "event")} behind the log, ${count(restarts, "restart")} of actors since the start, told at ${clock(board.at)}`;
  return html`
    <span class="glance" title=${title}>
      <span class=${`dot ${state}`} aria-hidden="true"></span>
      <span>${label}</span>
      <span class=${lag > 100 ? "warn" : "muted"}>lag ${lag}</span>
      ${restarts > 0 && html`<span class="warn">${count(restarts, "actor restart")}</span>`}
    </span>`;
}

const STATES = { connecting: ["Connecting", "unknown"], open: ["Live", "good"], lost: ["Connection lost", "warn"], refused: ["Refused", "bad"] };

/** How the socket does, and what happens next. */
function Connection() {
  const status = useSocketStatus(socket);
  const [label, state] = STATES[status];
  const waits = status === "lost" || status === "refused";
  return html`
    <span class="connection" title=${socket.reason}>
      <span class=${`dot ${state}`} aria-hidden="true"></span>
      <span role="status">${label}${status === "refused" && socket.reason ? `: ${socket.reason}` : ""}</span>
      ${status === "lost" && html`<${Countdown} />`}
      ${waits && html`<button type="button" class="quiet" onClick=${() => socket.connect()}>Try now</button>`}
    </span>`;
}

/** When it is tried again; outside of the live region, which would say every second of it. */
function Countdown() {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((before) => before + 1), 500);
    return () => clearInterval(timer);
  }, []);
  const left = Math.max(0, Math.ceil((socket.retryAt - Date.now()) / 1000));
  return html`<span class="muted">again in ${duration(left * 1e6)}</span>`;
}

/** The zone all times are in, and a switch to UTC where that is another one. */
function Zone() {
  const zone = useZone();
  const isOwn = !isUtc();
  if (isOwn && zone === "UTC") return html`<span class="muted" title=${`All times are in UTC (${ownZone()})`}>UTC</span>`;
  const words = isOwn ? `All times are in ${ownZone()}. Show UTC` : `All times are in UTC. Show ${ownZone()}`;
  return html`
    <button type="button" class="quiet zone" title=${words} aria-label=${`${zone}: ${words}`} onClick=${() => showUtc(isOwn)}>${zone}</button>`;
}

function Who({ me, onSignOut }) {
  return html`
    <span class="who" title=${`Callboard ${me.version}${me.auth === "none" ? ", which asks nobody who they are" : ""}`}>
      <span class="who-name">${visible(me.principal)}</span>
      <span class="muted">${me.roles.join(", ")}</span>
      ${me.auth !== "none" && html`<button type="button" class="quiet" onClick=${onSignOut}>Sign out</button>`}
    </span>`;
}

/** The keys that can be pressed where one is. */
export function Keys({ open, onClose }) {
  return html`
    <${Dialog} title="Keys" open=${open} onClose=${onClose}>
      <dl class="keys">
        ${allKeys().map(({ keys, does }) => html`
          <div key=${keys}><dt>${keys.split(" ").map((key) => html`<kbd>${key}</kbd>`)}</dt><dd>${does}</dd></div>`)}
      </dl>
    </${Dialog}>`;
}
