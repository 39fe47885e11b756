// The proof of one event: what it shows, in words; as a file; and how others check it without us.

import { Copy, Empty, Failure, Loading, Time, html, useAnswer, useEffect, useState } from "../ui.js";
import { get } from "../server.js";
import { count, number, streamHref } from "../format.js";
import { go, link } from "../audit/address.js";
import { saveAs } from "../audit/fetching.js";
import { Field } from "../audit/form.js";
import { checkpointOf } from "./words.js";

/** `#/integrity?event=stream@version`: a field for the event, and its proof. */
export function Proof({ event }) {
  const [text, setText] = useState(event);
  const [again, setAgain] = useState(0);
  const ask = (signal) => (event ? get(`/api/audit/proof/${encodeURIComponent(event)}`, {}, signal) : Promise.resolve(null));
  const [proof, error] = useAnswer(ask, [event, again]);
  useEffect(() => setText(event), [event]);
  const submit = (submitted) => {
    submitted.preventDefault();
    if (!go(link("#/integrity", { event: text.trim() }))) setAgain(again + 1);
  };
  const why = error?.status === 404 ? error.message : "";
  const isUnknown = why.includes("no event");
  const isEarly = why.includes("no checkpoint");
  return html`
    <section class="panel" aria-labelledby="integrity-proof">
      <h2 id="integrity-proof">Prove one event</h2>
      <form class="clients-choice" onSubmit=${submit}>
        <${Field} id="integrity-event" label="Event" hint="stream@version, or its position in the log" fault=${isUnknown ? sentence(error.message) : null}>
          ${(given) => html`<input ...${given} name="event" value=${text} autocomplete="off" spellcheck=${false} required
            onInput=${(typed) => setText(typed.currentTarget.value)} />`}
        <//>
        <button type="submit">Prove it</button>
      </form>
      ${event && !proof && !error && html`<${Loading} what="Making the proof" />`}
      ${isEarly && html`<${Empty} title="No checkpoint has it yet">
        <p>The server makes one as the log grows, and every minute or as it is set; with the next there is a proof.</p>
        <button type="button" onClick=${() => setAgain(again + 1)}>Try again</button><//>`}
      ${error && !isUnknown && !isEarly && html`<${Failure} title="It cannot be proved" error=${error} retry=${() => setAgain(again + 1)} />`}
      ${proof && html`<${Told} proof=${proof} />`}
    </section>
  `;
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function Told({ proof }) {
  const { stream, version, position, event, time, principal } = proof.event;
  const checkpoint = checkpointOf(proof.checkpoint);
  const name = `proof-${`${stream}@${version}`.replace(/[^\w.@-]/g, "_")}.json`;
  const text = JSON.stringify(proof, null, 1);
  const options = checkpoint?.isSigned ? " --public-key KEY" : " --checkpoint NOTED";
  return html`
    <div class="integrity-told">
      <p>This proof shows that <a href=${streamHref(stream, version)}>${stream}@${version}</a> (${event}, <${Time} at=${time} as="moment" />,
        by ${principal}) is in the log ${checkpoint && html`<code>${checkpoint.log}</code> `}at position ${number(position)}, as it
        stands in the proof: with its payload, command, time and author.</p>
      ${checkpoint && html`
        <p>It leads, over ${count(proof.path.length, "hash", "hashes")}, to the root of the checkpoint of ${count(checkpoint.size, "event")},
          made${" "}<${Time} at=${checkpoint.time} as="moment" />, which is ${checkpoint.isSigned
            ? "signed: check it with the public key you were given." : "not signed: hold it against one you noted elsewhere."}</p>
        <dl class="audit-facts">
          <div><dt>Root</dt><dd><code>${checkpoint.root}</code></dd></div>
          <div><dt>Chain's hash at the checkpoint</dt><dd><code>${checkpoint.head}</code></dd></div>
          <div><dt>Chain's hash before the event</dt><dd><code>${proof.previous}</code></dd></div>
        </dl>`}
      <p class="audit-actions">
        <button type="button" onClick=${() => saveAs(name, new Blob([text, "\n"], { type: "application/json" }))}>Save the proof</button>
        <${Copy} text=${text} label="Copy the proof" />
      </p>
      <h3>Check it</h3>
      <p>Far from this server, without its database; this page is no judge of its own server.</p>
      <pre tabindex="0">${`callboard proof check ${name}${options}`}</pre>
      <p>Or with Python alone, with the program that <code>callboard proof verifier</code> prints:</p>
      <pre tabindex="0">${`callboard proof verifier > verifier.py\npython3 -I verifier.py ${name}${options}`}</pre>
      <details><summary>The whole proof</summary><pre tabindex="0">${text}</pre></details>
    </div>
  `;
}
