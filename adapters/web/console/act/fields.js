// The controls of a command's fields.

import { html } from "../ui.js";
import { Field } from "../audit/form.js";

const LONG = 200; // characters: a text that may have more gets several lines

/**
 * A control for each field, those that must be given first; the rest folds away then. `texts` are what is in them,
 * `set(name, text)` changes one.
 */
export function Fields({ fields, texts, faults, set }) {
  const control = (field) => html`
    <${Field} key=${field.name} id=${`act-${field.name}`} label=${labelOf(field)} hint=${field.hint} fault=${faults[field.name]}>
      ${(given) => controlOf(field, { ...given, name: field.name }, texts[field.name] ?? "", (event) => set(field.name, event.currentTarget.value))}
    <//>
  `;
  const required = fields.filter((field) => field.isRequired);
  const rest = fields.filter((field) => !field.isRequired);
  if (!required.length || !rest.length) return html`${fields.map(control)}`;
  const isUsed = rest.some(({ name }) => texts[name] || faults[name]);
  return html`
    ${required.map(control)}
    <details class="act-rest" open=${isUsed}>
      <summary>What may be left out: ${rest.map(({ name }) => name.replaceAll("_", " ")).join(", ")}</summary>
      <div class="act-fields">${rest.map(control)}</div>
    </details>
  `;
}

function labelOf({ name, isRequired, kind }) {
  const words = name.replaceAll("_", " ");
  return `${words}${kind === "json" ? ", as JSON" : ""}${isRequired ? "" : " (optional)"}`;
}

function controlOf(field, given, text, onInput) {
  const { kind, choices, initial, isRequired, most, least, greatest } = field;
  const standard = initial == null || typeof initial === "object" ? undefined : String(initial);
  if (kind === "choice" || kind === "boolean") {
    const values = (choices ?? [true, false]).map(String);
    return html`
      <select ...${given} value=${text} onChange=${onInput} required=${isRequired}>
        <option value="">${isRequired ? "Choose" : standard ? `As usual: ${standard}` : "Leave out"}</option>
        ${values.map((value) => html`<option key=${value} value=${value}>${value}</option>`)}
      </select>
    `;
  }
  if (kind === "integer" || kind === "number") {
    const step = kind === "integer" ? 1 : "any";
    return html`<input ...${given} type="number" step=${step} min=${least} max=${greatest} required=${isRequired}
      value=${text} placeholder=${standard} onInput=${onInput} />`;
  }
  if (kind === "json" || most > LONG) {
    return html`<textarea ...${given} rows=${kind === "json" ? 3 : 4} maxlength=${most} required=${isRequired && kind === "json"}
      spellcheck=${kind !== "json"} value=${text} placeholder=${standard} onInput=${onInput}></textarea>`;
  }
  return html`<input ...${given} value=${text} maxlength=${most} placeholder=${standard} autocomplete="off" onInput=${onInput} />`;
}
