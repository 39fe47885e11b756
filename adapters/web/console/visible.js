// Texts of others, with what cannot be seen in them written out: some of it turns the direction of what is read, so that a
// name may look like another one.

import { html } from "./hooks.js";

/** Controls but tab and line ends, marks and embeddings of direction, and what has no width. Joiners make letters and
 * pictures of some scripts, and stay. */
const UNSEEN = /([\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}])/u;
const ALL_UNSEEN = new RegExp(UNSEEN, "gu");

const written = (character) => `⟪U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟫`;

/** The text where a text alone can be: in titles and labels. */
export const spelled = (text) => (typeof text === "string" ? text.replace(ALL_UNSEEN, written) : text);

/** The text as content of an element, with what is written out set off. */
export function visible(text) {
  if (typeof text !== "string" || !UNSEEN.test(text)) return text;
  return text.split(ALL_UNSEEN).map((part, n) => (n % 2 === 0 ? part : html`<span key=${n} class="unseen">${written(part)}</span>`));
}
