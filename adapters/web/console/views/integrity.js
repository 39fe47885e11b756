// Whether the log is what was recorded, and how others can tell.

import { html } from "../ui.js";
import { Checkpoints } from "../integrity/checkpoints.js";
import { Proof } from "../integrity/proof.js";
import { Verify } from "../integrity/verify.js";

/** `#/integrity` and `#/integrity?event=stream@version`. */
export function IntegrityView({ filters }) {
  return html`
    <section class="integrity-view" aria-labelledby="integrity-title">
      <h1 id="integrity-title">Integrity of the log</h1>
      <div class="integrity-panels">
        <div><${Verify} /><${Checkpoints} /></div>
        <${Proof} event=${filters.get("event") ?? ""} />
      </div>
    </section>
  `;
}
