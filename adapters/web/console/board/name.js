// A stream's name where there may be too little room for it.

import { html, spelled } from "../ui.js";

const TAIL = 8;

/** The name, cut in its middle: ids that were made one after another differ at their ends alone. */
export const StreamName = ({ stream }) => {
  const name = spelled(stream);
  return html`<span class="name"><span class="name-head">${name.slice(0, -TAIL)}</span><span>${name.slice(-TAIL)}</span></span>`;
};
