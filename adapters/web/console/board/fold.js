// What stands open where there is room, and folds where there is little.

import { html, useEffect, useState } from "../ui.js";

const NARROW = matchMedia("(max-width: 720px)");

/** Whether there is little room now. */
export function useNarrow() {
  const [narrow, setNarrow] = useState(NARROW.matches);
  useEffect(() => {
    const follow = () => setNarrow(NARROW.matches);
    NARROW.addEventListener("change", follow);
    return () => NARROW.removeEventListener("change", follow);
  }, []);
  return narrow;
}

/** Its children; on a narrow page behind their title. */
export function Fold({ title, children }) {
  return useNarrow() ? html`<details class="fold"><summary>${title}</summary>${children}</details>` : children;
}
