// What all views are made of: preact with htm, and the components they share.

import { html, useEffect, useId, useRef, useState, useZone } from "./hooks.js";
import { ago, clock, exactly, iso, moment, now } from "./format.js";
import { visible } from "./visible.js";

export * from "./hooks.js";
export { spelled, visible } from "./visible.js";

const FOLD_FROM = 200;
const LONG_TEXT = 2000;

/** Nothing here: what would be, in one line, and what to do about it. */
export const Empty = ({ title, children }) => html`<div class="empty"><p class="empty-title">${title}</p>${children}</div>`;

/** Something is on its way; said after a moment, as most of it comes at once. */
export const Loading = ({ what = "Loading" }) => html`<p class="loading" role="status">${what}…</p>`;

/** An error, in the words of who told it, with a button to try again when `retry` is given. */
export const Failure = ({ error, title = "That did not work", retry = null }) => html`
  <div class="failure" role="alert">
    <p class="failure-title">${title}</p>
    <p>${visible(error?.message ?? String(error))}</p>
    ${retry && html`<button type="button" onClick=${() => retry()}>Try again</button>`}
  </div>`;

const SHOWN = { clock: (at) => clock(at), precise: (at) => clock(at, true), moment, ago: (at) => ago(at, now()) };

/** A time (µs UTC): `as` is "clock", "precise" (with ms), "moment" (with the day) or "ago"; all of it on hovering. */
export function Time({ at, as = "clock" }) {
  useZone();
  if (at == null) return html`<span class="muted">–</span>`;
  return html`<time dateTime=${iso(at)} title=${exactly(at)}>${SHOWN[as](at)}</time>`;
}

/** A value as a tree that folds; texts are shown as they are. `open` levels are unfolded at first. */
export function Json({ value, open = 2, name = null }) {
  const label = name === null ? null : html`<span class="json-name">${visible(name)}</span>: `;
  if (value === null || typeof value !== "object") return html`<div class="json-leaf">${label}<${Leaf} value=${value} /></div>`;
  const entries = Object.entries(value);
  const shape = Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}`;
  if (!entries.length) return html`<div class="json-leaf">${label}<span class="muted">${Array.isArray(value) ? "[]" : "{}"}</span></div>`;
  return html`<${Branch} label=${label} shape=${shape} entries=${entries} open=${open} />`;
}

function Branch({ label, shape, entries, open }) {
  const [unfolded, unfold] = useState(open > 0);
  const [most, showMore] = useState(FOLD_FROM);
  return html`
    <details class="json" open=${unfolded} onToggle=${(event) => event.target === event.currentTarget && unfold(event.target.open)}>
      <summary>${label}<span class="muted">${shape}</span></summary>
      ${unfolded && entries.slice(0, most).map(([key, inner]) => html`<${Json} key=${key} name=${key} value=${inner} open=${open - 1} />`)}
      ${unfolded && entries.length > most && html`
        <button type="button" class="quiet" onClick=${() => showMore(most + FOLD_FROM)}>${entries.length - most} more</button>`}
    </details>`;
}

function Leaf({ value }) {
  const [whole, showWhole] = useState(false);
  if (typeof value !== "string") return html`<span class=${`json-${value === null ? "null" : typeof value}`}>${String(value)}</span>`;
  const cut = !whole && value.length > LONG_TEXT;
  return html`<span class="json-string">"${visible(cut ? `${value.slice(0, LONG_TEXT)}…` : value)}"</span>
    ${cut && html` <button type="button" class="quiet" onClick=${() => showWhole(true)}>all ${value.length} characters</button>`}`;
}

/** A modal dialog; `onClose` is called however it is closed. Focus goes in, and back to where it was. */
export function Dialog({ title, open, onClose, children }) {
  const dialog = useRef(null);
  const heading = useId();
  useEffect(() => {
    if (!open) return dialog.current?.open ? dialog.current.close() : undefined;
    if (!dialog.current.open) dialog.current.showModal();
    return focusFirst(dialog.current);
  }, [open]);
  if (!open) return null;
  return html`
    <dialog ref=${dialog} aria-labelledby=${heading} onClose=${onClose}>
      <header class="dialog-head">
        <h2 id=${heading}>${title}</h2>
        <button type="button" class="quiet dialog-close" aria-label="Close" onClick=${() => dialog.current.close()}>✕</button>
      </header>
      ${children}
    </dialog>`;
}

const FIELDS = "input:not([type=hidden], :disabled), select:not(:disabled), textarea:not(:disabled)";
const BUTTONS = "button:not(:disabled, .dialog-close)";

/** The focus goes to the first field, else to the first button that does not just close; what a dialog asks the server for
 * comes later, and gets it as long as nobody moved it. Answers the function that ends that. */
function focusFirst(dialog) {
  const close = dialog.querySelector(".dialog-close");
  const look = () => {
    const target = dialog.querySelector(FIELDS) ?? dialog.querySelector(BUTTONS);
    const isMoved = ![close, dialog, document.body].includes(document.activeElement);
    if (target && !isMoved) target.focus();
    if (target || isMoved) waiting.disconnect();
  };
  const waiting = new MutationObserver(look);
  waiting.observe(dialog, { childList: true, subtree: true });
  look();
  return () => waiting.disconnect();
}

/** Tabs: `tabs` are {id, label, content} (content a function, called for the selected one alone). Arrow keys move. */
export function Tabs({ tabs, selected, onSelect, label }) {
  const names = useId();
  const at = Math.max(0, tabs.findIndex(({ id }) => id === selected));
  const move = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const target = { Home: 0, End: tabs.length - 1 }[event.key] ?? (step && (at + step + tabs.length) % tabs.length);
    if (target === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    onSelect(tabs[target].id);
    event.currentTarget.children[target].focus();
  };
  return html`
    <div class="tabs">
      <div role="tablist" aria-label=${label} onKeyDown=${move}>
        ${tabs.map(({ id, label: text }, index) => html`
          <button type="button" role="tab" key=${id} id=${`${names}-tab-${id}`} aria-selected=${index === at ? "true" : "false"}
            aria-controls=${`${names}-panel`} tabIndex=${index === at ? 0 : -1} onClick=${() => onSelect(id)}>${text}</button>`)}
      </div>
      <div role="tabpanel" id=${`${names}-panel`} aria-labelledby=${`${names}-tab-${tabs[at]?.id}`} tabIndex="0">
        ${tabs[at]?.content()}
      </div>
    </div>`;
}

/** A button that copies `text` (a text, or a function that makes it) and says that it did. */
export function Copy({ text, label = "Copy" }) {
  const [said, say] = useState(null);
  useEffect(() => {
    const timer = said && setTimeout(() => say(null), 2000);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(typeof text === "function" ? text() : text);
      say("Copied");
    } catch {
      say("Not allowed to copy");
    }
  };
  return html`<button type="button" class="quiet copy" onClick=${copy}>${said ?? label}<span class="hidden" role="status">${said}</span></button>`;
}

/** What a promise gives: [value, error, reload]. `ask(signal)` is asked again when `inputs` change. */
export function useAnswer(ask, inputs) {
  const [answer, setAnswer] = useState({});
  const [round, setRound] = useState(0);
  useEffect(() => {
    const aborting = new AbortController();
    setAnswer({});
    ask(aborting.signal).then(
      (value) => aborting.signal.aborted || setAnswer({ value }),
      (error) => aborting.signal.aborted || setAnswer({ error }),
    );
    return () => aborting.abort();
  }, [...inputs, round]);
  return [answer.value, answer.error, () => setRound((before) => before + 1)];
}
