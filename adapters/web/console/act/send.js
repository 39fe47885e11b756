// Sending a stream a command: which, with what, and what came of it.

import { Empty, html, useMemo, useState } from "../ui.js";
import { post } from "../server.js";
import { Field } from "../audit/form.js";
import { Effect, Refusal, bodyFaults, closeDialog, useAct } from "./acting.js";
import { Fields } from "./fields.js";
import { bodyOf, fieldsOf } from "./schema.js";

/** Post a command to a stream. Resolves to what it led to. */
export const send = (stream, name, body, headers) =>
  post(`/api/console/streams/${encodeURIComponent(stream)}/commands`, { name, body }, headers);

/** The form for one of `commands`. */
export function Send({ stream, commands }) {
  const [name, choose] = useState(commands[0]?.name);
  const command = commands.find((each) => each.name === name);
  if (!command) return html`<${Empty} title="There is nothing an operator may send to such a stream" />`;
  return html`
    <${Field} id="act-command" label="Command" hint=${command.summary}>
      ${(given) => html`
        <select ...${given} value=${name} onChange=${(event) => choose(event.currentTarget.value)}>
          ${commands.map((each) => html`<option key=${each.name} value=${each.name}>${each.name}</option>`)}
        </select>`}
    <//>
    <${Body} key=${name} stream=${stream} command=${command} />
  `;
}

function Body({ stream, command }) {
  const fields = useMemo(() => fieldsOf(command.schema), [command]);
  const [isJson, writeJson] = useState(false);
  const [texts, setTexts] = useState({});
  const [whole, setWhole] = useState("{}");
  const [ours, setOurs] = useState({});
  const act = useAct(stream);
  const names = fields.map((field) => field.name);
  const theirs = bodyFaults(act.error, isJson ? [] : names);
  const set = (name, text) => setTexts({ ...texts, [name]: text });
  const toggle = () => {
    if (!isJson) setWhole(JSON.stringify(bodyOf(fields, texts).body, null, 2));
    writeJson(!isJson);
  };
  const submit = (event) => {
    event.preventDefault();
    const { body, faults } = isJson ? parsed(whole) : bodyOf(fields, texts);
    setOurs(faults);
    if (Object.keys(faults).length) return;
    act.run([command.name, body], (headers) => send(stream, command.name, body, headers));
  };
  return html`
    <form class="act-form" onSubmit=${submit}>
      ${isJson
        ? html`<${Field} id="act-json" label="Body, as JSON" fault=${ours.json}>
            ${(given) => html`<textarea ...${given} rows="8" spellcheck=${false} value=${whole} onInput=${(event) => setWhole(event.currentTarget.value)}></textarea>`}
          <//>`
        : html`<${Fields} fields=${fields} texts=${texts} faults=${{ ...theirs.fields, ...ours }} set=${set} />`}
      <p class="audit-actions">
        <button type="submit" class="primary" aria-disabled=${act.busy}>${act.busy ? "Sending…" : "Send"}</button>
        <button type="button" class="quiet" onClick=${toggle}>${isJson ? "As a form" : "As JSON"}</button>
        <button type="button" class="quiet" onClick=${closeDialog}>${act.told ? "Done" : "Cancel"}</button>
      </p>
      <${Refusal} act=${act} stream=${stream} known=${isJson ? [] : names} />
      ${act.told && !act.error && html`<${Effect} stream=${stream} told=${act.told} />`}
    </form>
  `;
}

function parsed(text) {
  try {
    const body = JSON.parse(text);
    if (body && typeof body === "object" && !Array.isArray(body)) return { body, faults: {} };
    return { faults: { json: "This must be an object: {…}" } };
  } catch (fault) {
    return { faults: { json: `This is no JSON: ${fault.message}` } };
  }
}
