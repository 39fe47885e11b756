// The state at the event, folded by the server, and what the event changed in it.

import { Copy, Failure, html, Loading, useMemo, useRef } from "../ui.js";
import { number } from "../format.js";
import { differences } from "./diff.js";
import { Changes, marksOf, Tree } from "./tree.js";

/** Until the state wished for is there, the one before it stays, and says which it is. */
export function StatePanel({ model, cursor }) {
  const { states } = model;
  const shown = useRef(null);
  const folds = useRef(new Map()).current;
  // While one goes along with what is recorded, only some of the versions that pass are wished for.
  for (const version of [states.wished, cursor]) if (states.has(version)) shown.current = version;
  const at = shown.current !== null && states.has(shown.current) ? shown.current : null;
  const state = at === null ? undefined : states.get(at);
  const before = at === 0 ? state : at === null ? undefined : states.get(at - 1);
  const found = useMemo(() => (before === undefined ? null : differences(before, state)), [before, state]);
  const marks = useMemo(() => marksOf(found?.changes ?? []), [found]);
  const failure = states.failure?.version === cursor ? states.failure.reason : null;
  if (failure) return html`<${Failure} title=${`The state at ${number(cursor)} cannot be shown`} error=${failure} retry=${() => states.again()} />`;
  if (at === null) return html`<${Loading} what="Folding the state" />`;
  return html`
    <div class="state" aria-busy=${at === cursor ? "false" : "true"} data-version=${at}>
      <section aria-label="Changes">
        <h3>${at === 0 ? "Before the first event" : `What event ${number(at)} changed`}</h3>
        ${at > 0 && (found ? html`<${Changes} ...${found} />` : html`<p class="muted">Folding the state before it…</p>`)}
      </section>
      <section aria-label="State">
        <h3 class="panel-head">State at ${number(at)} <${Copy} text=${() => JSON.stringify(state, null, 2)} label="Copy as JSON" /></h3>
        <${Tree} value=${state} marks=${marks} folds=${folds} />
      </section>
    </div>`;
}
