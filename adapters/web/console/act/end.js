// Ending a conversation: asked for twice, as nothing brings it back.

import { html } from "../ui.js";
import { Field } from "../audit/form.js";
import { Cancel, Done, Effect, Refusal, bodyFaults, useAct } from "./acting.js";
import { dropDrafts, useDraft } from "./drafts.js";
import { send } from "./send.js";
import { fieldsOf } from "./schema.js";

/** `command` is the one of the stream's commands that ends it. */
export function End({ stream, command }) {
  const [reason, setReason] = useDraft(stream, "end", "");
  const act = useAct(stream);
  const hasReason = fieldsOf(command.schema).some((field) => field.name === "reason");
  const submit = (event) => {
    event.preventDefault();
    const body = hasReason && reason ? { reason } : {};
    act.run(body, async (headers) => {
      const told = await send(stream, command.name, body, headers);
      dropDrafts(stream, "end");
      return told;
    });
  };
  if (act.told) {
    return html`<${Effect} stream=${stream} told=${act.told} />
      <p><${Done} told=${act.told} /></p>`;
  }
  return html`
    <form class="act-form" onSubmit=${submit}>
      <p>All who hear <strong class="act-name">${stream}</strong> are told that it has ended, and nothing more can be said in it.
        A fork can still go on from any of its events.</p>
      ${hasReason && html`
        <${Field} id="act-reason" label="Reason (optional)" hint="It is on record, and clients are told." fault=${bodyFaults(act.error, ["reason"]).fields.reason}>
          ${(given) => html`<input ...${given} name="reason" value=${reason} autocomplete="off" onInput=${(event) => setReason(event.currentTarget.value)} />`}
        <//>`}
      <p class="audit-actions">
        <button type="submit" class="danger" aria-disabled=${act.busy}>${act.busy ? "Ending…" : "End it for everybody"}</button>
        <${Cancel} stream=${stream} act="end" />
      </p>
      <${Refusal} act=${act} stream=${stream} known=${["reason"]} />
    </form>
  `;
}
