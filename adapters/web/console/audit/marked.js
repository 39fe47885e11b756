// A text with the words found marked in it. Text stays text.

import { html, visible } from "../ui.js";
import { pieces } from "./words.js";

export const Marked = ({ text, words }) =>
  pieces(text, words).map(({ text: part, isFound }, n) => (isFound ? html`<mark key=${n}>${visible(part)}</mark>` : visible(part)));
