// What an operator may do with the stream that is shown, from the version where one is.

import { html, useEffect, useState } from "../ui.js";

const FORKED = /\.forked(\/|$)/;

/** The acts, once they are loaded; nothing for those they are not for. `over` says how the stream ended, "" while it goes on. */
export function Acts({ model, cursor, roles, over }) {
  const [menu, setMenu] = useState({});
  const isOperator = roles.includes("operator");
  useEffect(() => {
    if (isOperator) import("../act/menu.js").then(({ ActMenu }) => setMenu({ ActMenu }), (error) => setMenu({ error }));
  }, [isOperator]);
  if (menu.error) return html`<p class="muted">What can be done here cannot be loaded.</p>`;
  const isFork = model.outline.names.some((name) => FORKED.test(name));
  return menu.ActMenu ? html`<${menu.ActMenu} stream=${model.stream} version=${cursor} roles=${roles} isFork=${isFork} over=${over} />` : null;
}
