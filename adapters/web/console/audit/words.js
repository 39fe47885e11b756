// Where the words of a question stand in a text. What is asked for is read as eventstore/words.py does.

const ASKED = /"([^"]*)"(\*?)|([^\s"]+)/gu;
const WORD = /[\p{L}\p{N}]+/gu;
const BEFORE = 40;
const AFTER = 90;

/** What `text` asks for, as expressions over folded texts: words, "exact phrases", beginnings*. */
export function wanted(text = "") {
  const parts = [...text.matchAll(ASKED)].map(([, quoted, star, plain]) => [quoted ?? plain, Boolean(star) || (plain ?? "").endsWith("*")]);
  return parts.map(([part, isOpen]) => [fold(part).folded.match(WORD), isOpen]).filter(([words]) => words).map(expression);
}

// Words are letters and digits alone: nothing in them means anything in an expression.
const expression = ([words, isOpen]) => new RegExp(`(?<![\\p{L}\\p{N}])${words.join("[^\\p{L}\\p{N}]+")}${isOpen ? "[\\p{L}\\p{N}]*" : "(?![\\p{L}\\p{N}])"}`, "gu");

/** Without case and accents, and of each character where it was in the text; last where the text ends. */
function fold(text) {
  let folded = "";
  const places = [];
  let place = 0;
  for (const character of text) {
    const plain = character.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
    for (let n = 0; n < plain.length; n += 1) places.push(place);
    folded += plain;
    place += character.length;
  }
  places.push(place);
  return { folded, places };
}

/** Whether the text has what one expression asks for. */
export const has = (text, one) => fold(text).folded.search(one) >= 0;

/** The text in pieces, {text, isFound} each. */
export function pieces(text, expressions) {
  if (!expressions.length) return [{ text, isFound: false }];
  const { folded, places } = fold(text);
  const found = expressions.flatMap((one) => [...folded.matchAll(one)].map((match) => [places[match.index], places[match.index + match[0].length]]));
  const told = [];
  let end = 0;
  for (const [from, until] of found.sort((one, other) => one[0] - other[0] || other[1] - one[1])) {
    if (from < end) continue;
    if (from > end) told.push({ text: text.slice(end, from), isFound: false });
    told.push({ text: text.slice(from, until), isFound: true });
    end = until;
  }
  if (end < text.length || !told.length) told.push({ text: text.slice(end), isFound: false });
  return told;
}

/** All texts in a value, however deep: in these, and not in names and numbers, the server looks for words. */
function textsIn(value) {
  if (typeof value === "string") return [value];
  return value !== null && typeof value === "object" ? Object.values(value).flatMap(textsIn) : [];
}

/** Around the first place in these texts where one of the expressions holds; null where none does. */
export function excerpt(texts, expressions) {
  for (const text of texts) {
    const told = pieces(text, expressions);
    const first = told.findIndex(({ isFound }) => isFound);
    if (first < 0) continue;
    const before = told.slice(0, first).map((piece) => piece.text).join("");
    const rest = text.slice(before.length);
    return `${before.length > BEFORE ? `…${before.slice(-BEFORE)}` : before}${rest.length > AFTER ? `${rest.slice(0, AFTER)}…` : rest}`;
  }
  return null;
}

/**
 * Why an entry was found, where what is shown of it does not say so: {command, more}, texts or null each. `more` is from
 * its payload; `command` from the command, for what is nowhere in the payload.
 */
export function reasons({ payload, command }, shown, expressions) {
  const ofPayload = textsIn(payload);
  const isIn = (texts) => (one) => texts.some((text) => has(text, one));
  const unshown = expressions.filter((one) => !has(shown, one));
  const missing = unshown.filter((one) => !isIn(ofPayload)(one));
  return {
    more: excerpt(ofPayload, unshown.filter((one) => !missing.includes(one))),
    command: excerpt(textsIn(command?.body ?? command), missing),
  };
}
