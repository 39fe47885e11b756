// Sending a stream a command: which, with what, and what came of it.

import { Empty, html, useEffect, useMemo, useState } from "../ui.js";
import { post } from "../server.js";
import { Field } from "../audit/form.js";
import { Cancel, Done, Effect, Refusal, bodyFaults, useAct } from "./acting.js";
import { dropDrafts, useDraft } from "./drafts.js";
import { Fields } from "./fields.js";
import { bodyOf, fieldsOf } from "./schema.js";

const EMPTY = { isJson: false, texts: {}, whole: "{}" };

/** Post a command to a stream. Resolves to what it led to. */
export const send = (stream, name, body, headers) =>
  post(`/api/console/streams/${encodeURIComponent(stream)}/commands`, { name, body }, headers);

/** The form for one of `commands`. */
export function Send({ stream, commands }) {
  const [name, choose] = useDraft(stream, "send", commands[0]?.name);
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
  const draft = `send ${command.name}`;
  const [{ isJson, texts, whole }, write] = useDraft(stream, draft, EMPTY);
  const typed = (more) => write({ isJson, texts, whole, ...more });
  const [ours, setOurs] = useState({});
  const act = useAct(stream);
  const names = fields.map((field) => field.name);
  const theirs = bodyFaults(act.error, isJson ? [] : names);
  const set = (name, text) => typed({ texts: { ...texts, [name]: text } });
  const toggle = () => typed({ isJson: !isJson, whole: isJson ? whole : JSON.stringify(bodyOf(fields, texts).body, null, 2) });
  const isDone = act.told && !act.error;
  useEffect(() => {
    if (isDone) write({ ...EMPTY, isJson }); // or another Enter would say it again
  }, [act.told]);
  const submit = (event) => {
    event.preventDefault();
    const { body, faults } = isJson ? parsed(whole) : bodyOf(fields, texts);
    setOurs(faults);
    if (Object.keys(faults).length) return;
    act.run([command.name, body], async (headers) => {
      const told = await send(stream, command.name, body, headers);
      dropDrafts(stream, "send");
      return told;
    });
  };
  return html`
    <form class="act-form" onSubmit=${submit}>
      ${isJson
        ? html`<${Field} id="act-json" label="Body, as JSON" fault=${ours.json}>
            ${(given) => html`<textarea ...${given} rows="8" spellcheck=${false} value=${whole} onInput=${(event) => typed({ whole: event.currentTarget.value })}></textarea>`}
          <//>`
        : html`<${Fields} fields=${fields} texts=${texts} faults=${{ ...theirs.fields, ...ours }} set=${set} />`}
      <p class="audit-actions">
        <button type="submit" class="primary" aria-disabled=${act.busy}>${act.busy ? "Sending…" : isDone ? "Send another" : "Send"}</button>
        <button type="button" class="quiet" onClick=${toggle}>${isJson ? "As a form" : "As JSON"}</button>
        ${isDone ? html`<${Done} told=${act.told} />` : html`<${Cancel} stream=${stream} act="send" />`}
      </p>
      <${Refusal} act=${act} stream=${stream} known=${isJson ? [] : names} />
      ${isDone && html`<${Effect} stream=${stream} told=${act.told} />`}
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
