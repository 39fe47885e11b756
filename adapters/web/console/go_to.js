// The box to go to a stream: by its name, or any part of it.

import { html, spelled, Time, useEffect, useRef, useState, visible } from "./ui.js";
import { isWhole, onlyOne, streamsLike, wanted } from "./find.js";
import { count, streamHref } from "./format.js";

const PAUSE = 150;
const BOX = "go-to-stream";

/** Put the focus into the box, also where it is in a menu that is closed. */
export function focusGoTo() {
  const box = () => document.getElementById(BOX);
  if (!box()) document.querySelector(".menu-button")?.click();
  setTimeout(() => box()?.focus());
}

/** The box, with the names the log knows as suggestions; below it what there is to choose from, or why one gets nowhere. */
export function GoTo() {
  const [text, setText] = useState("");
  const [told, tell] = useState(null);
  const suggested = useSuggestions(text);
  const asked = useRef(0);
  const change = (fresh) => {
    asked.current += 1; // an answer that still comes is about another text
    setText(fresh);
    tell(null);
  };
  const go = async (event) => {
    event.preventDefault();
    const { name, at } = wanted(text);
    if (!name) return;
    const mine = ++asked.current;
    const found = await streamsLike(name).catch((error) => ({ streams: [], error }));
    if (mine !== asked.current) return;
    const stream = found.error && !isWhole(name) ? null : onlyOne(name, found);
    if (!stream) return tell({ ...found, name, at });
    location.hash = streamHref(stream, at);
    change("");
  };
  const leave = (event) => event.key === "Escape" && tell(null);
  return html`
    <form class="go-to" role="search" onSubmit=${go} onKeyDown=${leave}>
      <label class="hidden" for=${BOX}>Go to a stream</label>
      <input id=${BOX} type="search" list="streams-found" placeholder="Go to: name or id, id@event" autocomplete="off" autocapitalize="none"
        spellcheck=${false} value=${text} onInput=${(event) => change(event.currentTarget.value)} />
      <datalist id="streams-found">${suggested.map(({ stream, events }) => html`<option key=${stream} value=${stream} label=${spelled(stream)}>${count(events, "event")}</option>`)}</datalist>
      <div role="status">${told && html`<${Told} told=${told} onGone=${() => change("")} />`}</div>
    </form>`;
}

function Told({ told, onGone }) {
  const { name, at, streams, truncated, error } = told;
  if (error) return html`<div class="go-to-told panel"><p class="bad">Not looked for: ${error.message}</p></div>`;
  if (!streams.length) return html`<${Nowhere} name=${name} truncated=${truncated} onGone=${onGone} />`;
  return html`
    <div class="go-to-told panel" onClick=${(event) => event.target.closest("a") && onGone()}>
      <p>${truncated ? "Some of the streams" : count(streams.length, "stream")} with “${name}” in the name:</p>
      <ul>
        ${streams.map(({ stream, events, last_time: last }) => html`
          <li key=${stream}><a href=${streamHref(stream, at)}>${visible(stream)}</a> <span class="muted">${count(events, "event")}, <${Time} at=${last} as="ago" /></span></li>`)}
        ${isWhole(name) && html`<li><a href=${streamHref(name, at)}>${name}</a> <span class="muted">as you wrote it</span></li>`}
      </ul>
    </div>`;
}

function Nowhere({ name, truncated, onGone }) {
  return html`
    <div class="go-to-told panel" onClick=${(event) => event.target.closest("a") && onGone()}>
      <p>No stream has “${name}” in its name${truncated ? ", as far as there was time to look" : ""}. Write the whole name, as in
        <code>conversation-…</code> or <code>call-…</code>, or the id alone, or its end.</p>
      <p><a href=${`#/audit?${new URLSearchParams({ text: name })}`}>Search what was said for “${name}”</a></p>
    </div>`;
}

/** Streams with the text in their names, a moment after it was typed. */
function useSuggestions(text) {
  const [found, setFound] = useState([]);
  useEffect(() => {
    const aborting = new AbortController();
    const { name } = wanted(text);
    const timer = setTimeout(() => {
      if (!name) return setFound([]);
      return streamsLike(name, aborting.signal).then(({ streams }) => setFound(streams), () => setFound([]));
    }, PAUSE);
    return () => {
      clearTimeout(timer);
      aborting.abort();
    };
  }, [text]);
  return found;
}
