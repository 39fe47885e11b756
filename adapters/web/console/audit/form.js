// The form of a question. What is wrong with it is said at the field it is about.

import { html, useEffect, useState, useZone } from "../ui.js";
import { FIELDS, PRESETS, searchLink, typed, untyped } from "./filters.js";

/** One labelled control; its fault is read out with it. */
export function Field({ id, label, hint, fault, wide, children }) {
  const described = fault ? `${id}-fault` : hint ? `${id}-hint` : undefined;
  return html`
    <div class=${wide ? "audit-field audit-wide" : "audit-field"}>
      <label for=${id}>${label}</label>
      ${children({ id, "aria-describedby": described, "aria-invalid": fault ? "true" : undefined })}
      ${hint && !fault && html`<small id=${`${id}-hint`}>${hint}</small>`}
      ${fault && html`<small id=${`${id}-fault`} class="audit-fault" role="alert">${fault}</small>`}
    </div>
  `;
}

/** All filters. `onSearch` is given the filters that were typed. */
export function SearchForm({ filters, faults, busy, onSearch }) {
  const [draft, setDraft] = useState(typed(filters));
  // Another address is another question; what was typed for the one before is void, as are times of another zone.
  useEffect(() => setDraft(typed(filters)), [searchLink(filters), useZone()]);
  const set = (name) => (event) => setDraft({ ...draft, [name]: event.currentTarget.value });
  const submit = (event) => {
    event.preventDefault();
    onSearch(untyped(draft));
  };
  const shown = { draft, set, faults };
  const usual = FIELDS.filter((field) => !field.rare);
  const rare = FIELDS.filter((field) => field.rare);
  const isRareUsed = rare.some((field) => draft[field.name] || faults[field.name]);
  return html`
    <form class="audit-form" role="search" aria-label="Search the log" onSubmit=${submit}>
      <div class="audit-fields">
        ${usual.map((field) => html`<${Filter} key=${field.name} field=${field} ...${shown} />`)}
        <${Choice} name="rejected" label="Rejected commands" ...${shown}
          choices=${[["", "With the rest"], ["true", "Only those"], ["false", "Hidden"]]} />
        <${Choice} name="newest_first" label="Order" ...${shown}
          choices=${[["", "Newest first"], ["false", "Oldest first"]]} />
      </div>
      <details class="audit-rare" open=${isRareUsed}>
        <summary>By what it belongs to: correlation, causation, connection, command</summary>
        <div class="audit-fields">
          ${rare.map((field) => html`<${Filter} key=${field.name} field=${field} ...${shown} />`)}
        </div>
      </details>
      <div class="audit-actions">
        <button type="submit" class="primary" aria-disabled=${busy}>Search</button>
        <a class="audit-clear" href="#/audit">Clear</a>
      </div>
    </form>
  `;
}

function Filter({ field, draft, set, faults }) {
  const { name, label, hint, choices, wide } = field;
  if (choices) {
    const all = [["", "Any"], ...choices.map((choice) => [choice, choice])];
    return html`<${Choice} name=${name} label=${label} choices=${all} draft=${draft} set=${set} faults=${faults} />`;
  }
  return html`
    <${Field} id=${`audit-${name}`} label=${label} fault=${faults[name]} wide=${wide}>
      ${(given) => html`<input ...${given} name=${name} value=${draft[name] ?? ""} placeholder=${hint} onInput=${set(name)}
        type=${name === "text" ? "search" : "text"} autocomplete="off" autocapitalize="off" spellcheck=${false} maxlength="1024" />`}
    <//>
  `;
}

function Choice({ name, label, choices, draft, set, faults }) {
  // An address may say what no choice offers: then it is offered, so that the form shows what is asked.
  const value = draft[name] ?? "";
  const known = choices.some(([choice]) => choice === value);
  const isDefault = !known && name === "newest_first";
  const all = known || isDefault ? choices : [...choices, [value, value]];
  return html`
    <${Field} id=${`audit-${name}`} label=${label} fault=${faults[name]}>
      ${(given) => html`
        <select ...${given} name=${name} value=${isDefault ? "" : value} onChange=${set(name)}>
          ${all.map(([choice, text]) => html`<option key=${choice} value=${choice}>${text}</option>`)}
        </select>
      `}
    <//>
  `;
}

/** What one may ask with one click. */
export function Presets({ current }) {
  return html`
    <nav class="audit-presets" aria-label="Frequent questions">
      ${PRESETS.map(({ label, fields }) => {
        const href = searchLink(fields);
        return html`<a key=${label} href=${href} aria-current=${href === current ? "page" : undefined}>${label}</a>`;
      })}
    </nav>
  `;
}
