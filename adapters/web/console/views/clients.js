// What did this client see: connections now and past, who heard a stream, and one connection at any time.

import { html } from "../ui.js";
import { Listeners, StreamChoice } from "../clients/listeners.js";
import { One } from "../clients/one.js";
import { Recent } from "../clients/recent.js";

/** `#/clients`, `#/clients?stream=…&at=…` and `#/clients/<connection>?at=…`. */
export function ClientsView({ filters, connection }) {
  const stream = filters.get("stream") ?? "";
  const at = filters.get("at") ?? "";
  return html`
    <section class="clients-view" aria-labelledby="clients-title">
      <h1 id="clients-title">${connection ? html`What client <code>${connection}</code> saw` : "What clients saw"}</h1>
      ${connection && html`<${One} connection=${connection} at=${at} />`}
      ${!connection && stream && html`<${Listeners} stream=${stream} at=${at} />`}
      ${!connection && !stream && html`<${StreamChoice} stream="" /><h2>Connections</h2><${Recent} />`}
    </section>
  `;
}
