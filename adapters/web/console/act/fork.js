// A past that goes on elsewhere, with another model or prompt; and what was said next said to it too.

import { html, useState } from "../ui.js";
import { post } from "../server.js";
import { category, count, streamHref } from "../format.js";
import { Cancel, Refusal, bodyFaults, closeDialog, useAct } from "./acting.js";
import { dropDrafts, useDraft } from "./drafts.js";
import { Fields } from "./fields.js";
import { bodyOf } from "./schema.js";

const FIELDS = [
  { name: "at", kind: "integer", least: 1, hint: "The version it leaves its source at, the newest if empty. One amid a decision counts as that decision's end." },
  { name: "model", kind: "text", hint: "Another model of the API that is configured, or offline-partner." },
  { name: "prompt", kind: "text", most: 65_536, hint: "All that the model is told beside what was said." },
];
const OF_CONVERSATIONS = [
  { name: "personality", kind: "text", hint: "friendly_neutral, formal, …" },
  { name: "topic", kind: "text" },
];

const path = (stream, act) => `/api/audit/streams/${encodeURIComponent(stream)}/${act}`;

/** Fork a stream at a version; then the way to the fork, and on in it. */
export function Fork({ stream, version }) {
  const draft = `fork ${version ?? ""}`;
  const [texts, setTexts] = useDraft(stream, draft, { at: String(version ?? "") });
  const [ours, setOurs] = useState({});
  const act = useAct();
  const fields = category(stream) === "conversation" ? [...FIELDS, ...OF_CONVERSATIONS] : FIELDS;
  const names = fields.map((field) => field.name);
  const submit = (event) => {
    event.preventDefault();
    const { body, faults } = bodyOf(fields, texts);
    setOurs(faults);
    if (!Object.keys(faults).length) act.run(body, fork(body));
  };
  const fork = (body) => async (headers) => {
    const told = await post(path(stream, "fork"), body, headers);
    dropDrafts(stream, draft);
    return told;
  };
  if (act.told) return html`<${Forked} told=${act.told} />`;
  return html`
    <form class="act-form" onSubmit=${submit}>
      <p>A new stream with the same past up to there. What you leave empty stays as it was.</p>
      <${Fields} fields=${fields} texts=${texts} faults=${{ ...bodyFaults(act.error, names).fields, ...ours }}
        set=${(name, text) => setTexts({ ...texts, [name]: text })} />
      <p class="audit-actions">
        <button type="submit" class="primary" aria-disabled=${act.busy}>${act.busy ? "Forking…" : "Fork"}</button>
        <${Cancel} stream=${stream} act=${draft} />
      </p>
      <${Refusal} act=${act} known=${names} />
    </form>
  `;
}

function Forked({ told }) {
  const changes = ["model", "prompt", "personality", "topic"].filter((name) => told[name] != null);
  return html`
    <div class="act-effect" role="status">
      <p><a href=${streamHref(told.stream, told.version + 1)}>${told.stream}</a> goes on from
        ${" "}<a href=${streamHref(told.source, told.version)}>${told.source}@${told.version}</a>.</p>
      ${changes.length > 0 && html`<p>Its own: ${changes.map((name) => `${name} ${told[name]}`).join(", ")}.</p>`}
      <p class="muted">Side by side: <code>callboard compare ${told.source} ${told.stream}</code></p>
    </div>
    <h3>Go on in it</h3>
    <${Continue} stream=${told.stream} />
  `;
}

const LONGEST = 120_000; // ms: so long the server waits for one answer, and each request of ours less

/** Say to a fork what was said next in its source, one thing at a time. */
export function Continue({ stream }) {
  const [steps, setSteps] = useState([]);
  const act = useAct();
  const step = () => act.run([stream, steps.length], async (headers) => {
    const told = await patiently(() => post(path(stream, "continue"), {}, headers));
    setSteps((before) => [...before, told]);
    return told;
  });
  const isOver = act.told && (act.told.said === null || act.told.left === 0);
  return html`
    <p>Say to it what was said next in its source, and see what it answers.</p>
    <ol class="act-steps" aria-live="polite">
      ${steps.map((told, index) => html`<${Step} key=${index} told=${told} />`)}
    </ol>
    <p class="audit-actions">
      ${!isOver && html`<button type="button" class="primary" aria-disabled=${act.busy} onClick=${step}>
        ${act.busy ? "Waiting for the answer…" : steps.length ? "Say the next thing" : "Say what was said next"}</button>`}
      ${act.told?.left > 0 && html`<span class="muted">${count(act.told.left, "thing")} left</span>`}
      <a href=${streamHref(stream)}>See the fork</a>
      <button type="button" class="quiet" onClick=${closeDialog}>Done</button>
    </p>
    <${Refusal} act=${act} />
  `;
}

function Step({ told }) {
  if (told.said === null) return html`<li class="muted">Nothing is left: all that was said in the source was said here too.</li>`;
  return html`
    <li>
      <p><span class="act-person">person</span> ${told.said}</p>
      ${told.answer !== null && html`<p><span class="act-assistant">assistant</span> ${told.answer}</p>`}
      ${told.failure !== null && html`<p class="bad">No answer: ${told.failure}</p>`}
    </li>
  `;
}

/** Ask again while the answer is still being drafted: with the same key nothing is said twice. */
async function patiently(ask) {
  const begun = performance.now();
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      const isPending = error.status === 503 || error.status === 0;
      if (!isPending || performance.now() - begun > LONGEST) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}
