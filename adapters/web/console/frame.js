// What stands around every view: navigation, who one is, the connection, health at a glance.

import { Dialog, html, useEffect, useLayoutEffect, useRef, useState, visible } from "./ui.js";
import { clock, count, duration, streamHref } from "./format.js";
import { allKeys } from "./keys.js";
import { get, socket } from "./server.js";
import { useBoard } from "./board/poll.js";

const PLACES = [["", "board", "Board"], ["/audit", "audit", "Audit"], ["/clients", "clients", "Clients"], ["/integrity", "integrity", "Integrity"]];
const GLANCE = 5000;

/** The page's header. */
export function Header({ route, me, onSignOut, onKeys }) {
  const bar = useRef(null);
  useLayoutEffect(() => toldHeight(bar.current), []);
  return html`
    <header class="top" ref=${bar}>
      <a class="brand" href="#">Callboard</a>
      <nav aria-label="Views">
        ${PLACES.map(([hash, name, label]) => html`
          <a key=${name} href=${`#${hash}`} aria-current=${route.name === name ? "page" : undefined}>${label}</a>`)}
      </nav>
      ${me && html`<${GoTo} />`}
      <div class="top-end">
        ${me && html`<${Glance} /><${Connection} /><${Who} me=${me} onSignOut=${onSignOut} />`}
        <button type="button" class="quiet" aria-label="Keys" title="Keys (?)" onClick=${onKeys}>?</button>
      </div>
    </header>`;
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

/** The box to go to a stream by its name, with the names the log knows as suggestions. */
function GoTo() {
  const [text, setText] = useState("");
  const [found, setFound] = useState([]);
  useEffect(() => {
    const aborting = new AbortController();
    const timer = setTimeout(() => {
      if (!text.trim()) return setFound([]);
      const query = { q: text.trim(), limit: 10 };
      return get("/api/console/streams", query, aborting.signal).then(({ streams }) => setFound(streams), () => setFound([]));
    }, 150);
    return () => {
      clearTimeout(timer);
      aborting.abort();
    };
  }, [text]);
  const go = (event) => {
    event.preventDefault();
    const name = text.trim();
    if (!name) return;
    const divide = /^(.+)@(\d+)$/.exec(name);
    location.hash = divide ? streamHref(divide[1], divide[2]) : streamHref(name);
    setText("");
  };
  return html`
    <form class="go-to" role="search" onSubmit=${go}>
      <label class="hidden" for="go-to-stream">Go to a stream</label>
      <input id="go-to-stream" type="search" list="streams-found" placeholder="Go to stream, or stream@event" autocomplete="off" spellcheck="false"
        value=${text} onInput=${(event) => setText(event.currentTarget.value)} />
      <datalist id="streams-found">${found.map(({ stream, events }) => html`<option key=${stream} value=${stream}>${count(events, "event")}</option>`)}</datalist>
    </form>`;
}

/** Whether the server is ready, how far what is told lags behind the log, and how often an actor was started again. */
function Glance() {
  const { board, error } = useBoard(GLANCE);
  if (!board) return html`<span class="glance muted">${error ? "Health unknown" : ""}</span>`;
  const { ready, tail_lag: lag, restarts } = board.vitals;
  const state = error ? "unknown" : ready ? "good" : "bad";
  const title = `${count(lag, "event")} behind the log, ${count(restarts, "restart")} of actors, told at ${clock(board.at)}`;
  return html`
    <span class="glance" title=${title}>
      <span class=${`dot ${state}`} aria-hidden="true"></span>
      <span>${error ? "Unknown" : ready ? "Ready" : "Not ready"}</span>
      <span class=${lag > 100 ? "warn" : "muted"}>lag ${lag}</span>
      <span class=${restarts ? "warn" : "muted"}>${count(restarts, "restart")}</span>
    </span>`;
}

const STATES = { connecting: ["Connecting", "unknown"], open: ["Live", "good"], lost: ["Connection lost", "warn"], refused: ["Refused", "bad"] };

/** How the socket does, and what happens next. */
function Connection() {
  const [status, setStatus] = useState(socket.status);
  useEffect(() => socket.onStatus(setStatus), []);
  useEffect(() => {
    const hurry = () => socket.status === "lost" && socket.connect();
    addEventListener("online", hurry);
    return () => removeEventListener("online", hurry);
  }, []);
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
