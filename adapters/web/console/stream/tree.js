// A state as a tree of text, with what the last event changed in it marked and unfolded.

import { html, useState, visible } from "../ui.js";
import { kindOf, written } from "./diff.js";

const MOST_ENTRIES = 60;
const MORE = 500;
const LONG_TEXT = 600;
const SIGNS = { added: "+", changed: "~", inside: "~", removed: "−" };
const SPOKEN = { added: "added", changed: "changed", inside: "changed within", removed: "removed" };

/** Marks by written path, from the changes: what was added or changed, and "inside" for all that holds such. */
export function marksOf(changes) {
  const marks = new Map();
  for (const { path, kind } of changes) {
    if (kind !== "removed") marks.set(written(path), kind);
    for (let depth = 0; depth < path.length; depth += 1) {
      const above = written(path.slice(0, depth));
      if (!marks.has(above)) marks.set(above, "inside");
    }
  }
  return marks;
}

/** A value of JSON. `marks` are those of `marksOf`; `folds` is a Map kept from state to state: path → whether it is open. */
export function Tree({ value, marks, folds }) {
  return html`<ul class="tree" role="list"><${Node} name="state" value=${value} path=${[]} marks=${marks} folds=${folds} isOpen=${true} /></ul>`;
}

function Node({ name, value, path, marks, folds, isOpen: wasOpen }) {
  const place = written(path);
  const [, redraw] = useState(0);
  const mark = marks.get(place);
  if (kindOf(value) === "plain") {
    return html`<li class=${mark ? `marked ${mark}` : null}><${Mark} mark=${mark} /><span class="tree-name">${visible(name)}</span>: <${Leaf} value=${value} /></li>`;
  }
  const size = kindOf(value) === "list" ? value.length : Object.keys(value).length;
  const brackets = kindOf(value) === "list" ? `[${size}]` : `{${size}}`;
  const isOpen = size > 0 && (folds.get(place) ?? (wasOpen || mark !== undefined));
  const fold = () => {
    folds.set(place, !isOpen);
    redraw((count) => count + 1);
  };
  return html`
    <li class=${mark && mark !== "inside" ? `marked ${mark}` : null}>
      <${Mark} mark=${mark} />
      ${size === 0 ? html`<span class="tree-name">${visible(name)}</span>: <span class="muted">${brackets}</span>` : html`
        <button type="button" class="tree-fold" aria-expanded=${isOpen ? "true" : "false"} onClick=${fold}>
          <span class="tree-name">${visible(name)}</span> <span class="muted">${brackets}</span></button>`}
      ${isOpen && html`<${Entries} value=${value} path=${path} marks=${marks} folds=${folds} />`}
    </li>`;
}

/** Of a long list the last entries, and those that changed: a transcript grows at its end. */
function Entries({ value, path, marks, folds }) {
  const [most, showMore] = useState(MOST_ENTRIES);
  const isList = kindOf(value) === "list";
  const keys = isList ? Array.from(value.keys()) : Object.keys(value);
  const hidden = Math.max(0, keys.length - most);
  const isChanged = (key) => marks.has(written([...path, key]));
  const shown = keys.filter((key, n) => n >= hidden || isChanged(key));
  return html`
    <ul role="list">
      ${hidden > 0 && html`<li><button type="button" class="quiet" onClick=${() => showMore(most + MORE)}>${keys.length - shown.length} before these</button></li>`}
      ${shown.map((key) => html`<${Node} key=${key} name=${String(key)} value=${value[key]} path=${[...path, key]} marks=${marks} folds=${folds} isOpen=${false} />`)}
    </ul>`;
}

function Mark({ mark }) {
  if (mark === undefined) return null;
  return html`<span class="tree-mark" aria-hidden="true">${SIGNS[mark]}</span><span class="hidden">${SPOKEN[mark]}: </span>`;
}

/** A value on one line, as JSON; a long one is cut until asked for. */
export function Leaf({ value }) {
  const [isWhole, showWhole] = useState(false);
  const text = kindOf(value) === "plain" ? JSON.stringify(value) ?? "" : JSON.stringify(value, null, 1);
  const isCut = !isWhole && text.length > LONG_TEXT;
  return html`<span class=${`leaf leaf-${value === null ? "null" : typeof value}`}>${visible(isCut ? `${text.slice(0, LONG_TEXT)}…` : text)}</span>
    ${isCut && html` <button type="button" class="quiet" onClick=${() => showWhole(true)}>all ${text.length} characters</button>`}`;
}

/** The changes one below the other: path, what was, what is. */
export function Changes({ changes, isCut }) {
  if (changes.length === 0) return html`<p class="muted">This event changed nothing in the state.</p>`;
  return html`
    <ul class="changes" role="list">
      ${changes.map(({ path, kind, before, after }, n) => html`
        <li key=${n} class=${`marked ${kind}`}>
          <${Mark} mark=${kind} /><code>${visible(written(path))}</code>
          ${kind !== "added" && html` <del><${Leaf} value=${before} /></del>`}
          ${kind === "changed" && html` <span aria-hidden="true">→</span>`}
          ${kind !== "removed" && html` <ins><${Leaf} value=${after} /></ins>`}
        </li>`)}
      ${isCut && html`<li class="muted">and more</li>`}
    </ul>`;
}
