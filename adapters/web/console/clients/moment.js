// The time a question is about: typed, stepped through, or none for the last that is known.

import { html, useEffect, useState } from "../ui.js";
import { micros } from "../format.js";
import { toTyped, toUtc, zone } from "../audit/times.js";

const STEPS = [[-10, "10 s earlier"], [-1, "1 s earlier"], [1, "1 s later"], [10, "10 s later"]];

/** `at` is ISO in UTC or ""; `day` (µs) is whose date a bare clock time gets; `onAt` hears the new one. */
export function Moment({ at, day, fault, onAt, label = "As it was at" }) {
  const [text, setText] = useState(toTyped(at));
  useEffect(() => setText(toTyped(at)), [at]);
  const submit = (event) => {
    event.preventDefault();
    onAt(toUtc(text, day ? new Date(day / 1000) : new Date()));
  };
  const base = micros(at);
  const step = (seconds) => onAt(new Date(base / 1000 + seconds * 1000).toISOString());
  return html`
    <form class="clients-moment" onSubmit=${submit}>
      <label for="clients-at">${label}</label>
      <input id="clients-at" name="at" value=${text} placeholder="14:03:07" autocomplete="off" spellcheck=${false}
        aria-describedby="clients-at-hint" aria-invalid=${fault ? "true" : undefined} onInput=${(event) => setText(event.currentTarget.value)} />
      <button type="submit">Show</button>
      ${at && base !== null && STEPS.map(([seconds, name]) => html`
        <button type="button" class="quiet" key=${seconds} aria-label=${name} title=${name} onClick=${() => step(seconds)}>
          ${seconds > 0 ? "+" : "−"}${Math.abs(seconds)} s</button>`)}
      ${at && html`<button type="button" class="quiet" onClick=${() => onAt("")}>The last known</button>`}
      <small id="clients-at-hint" class=${fault ? "audit-fault" : "muted"} role=${fault ? "alert" : undefined}>
        ${fault ?? `14:03:07 or 2026-11-21 14:03:07.25, in ${zone()}`}</small>
    </form>
  `;
}
