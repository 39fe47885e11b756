// What is different between two states, as values of JSON.

const MOST_CHANGES = 400;
/** Lists whose parts that differ have more pairs of entries than that are compared place by place. */
const MOST_PAIRS = 160_000;

/** The changes from `before` to `after`: `{path, kind, before, after}` with kind "added", "removed" or "changed"; `isCut`
 * where there are more than `most`. Entries of lists are known again by what they are. */
export function differences(before, after, most = MOST_CHANGES) {
  const changes = [];
  const note = (change) => changes.length <= most && changes.push(change);
  compare(before, after, [], note);
  return { changes: changes.slice(0, most), isCut: changes.length > most };
}

function compare(before, after, path, note) {
  if (before === after) return;
  const kind = kindOf(before);
  if (kind !== kindOf(after) || kind === "plain") {
    if (!Object.is(before, after)) note({ path, kind: "changed", before, after });
  } else if (kind === "list") {
    compareLists(before, after, path, note);
  } else {
    compareObjects(before, after, path, note);
  }
}

function compareObjects(before, after, path, note) {
  for (const key of Object.keys(before)) {
    if (Object.hasOwn(after, key)) compare(before[key], after[key], [...path, key], note);
    else note({ path: [...path, key], kind: "removed", before: before[key] });
  }
  for (const key of Object.keys(after)) {
    if (!Object.hasOwn(before, key)) note({ path: [...path, key], kind: "added", after: after[key] });
  }
}

function compareLists(before, after, path, note) {
  const shorter = Math.min(before.length, after.length);
  let begin = 0;
  while (begin < shorter && same(before[begin], after[begin])) begin += 1;
  let end = 0;
  while (end < shorter - begin && same(before.at(-1 - end), after.at(-1 - end))) end += 1;
  for (const block of blocks(before.slice(begin, before.length - end), after.slice(begin, after.length - end))) {
    compareBlock(before, after, { from: begin + block.from, to: begin + block.to, gone: block.gone, come: block.come }, path, note);
  }
}

/** `gone` entries of `before` at `from` stand against `come` entries of `after` at `to`. */
function compareBlock(before, after, { from, to, gone, come }, path, note) {
  for (let n = 0; n < Math.max(gone, come); n += 1) {
    if (n >= gone) note({ path: [...path, to + n], kind: "added", after: after[to + n] });
    else if (n >= come) note({ path: [...path, from + n], kind: "removed", before: before[from + n] });
    else compare(before[from + n], after[to + n], [...path, to + n], note);
  }
}

/** Where two lists differ, when as many entries as can be are known again: `{from, to, gone, come}` in order. */
function* blocks(before, after) {
  if (before.length * after.length > MOST_PAIRS) {
    yield { from: 0, to: 0, gone: before.length, come: after.length };
    return;
  }
  const [left, right] = [before, after].map((list) => list.map((entry) => JSON.stringify(entry)));
  const lengths = commonLengths(left, right);
  let [from, to, gone, come] = [0, 0, 0, 0];
  while (from + gone < left.length || to + come < right.length) {
    const [n, m] = [from + gone, to + come];
    if (n < left.length && m < right.length && left[n] === right[m]) {
      if (gone + come > 0) yield { from, to, gone, come };
      [from, to, gone, come] = [n + 1, m + 1, 0, 0];
    } else if (m === right.length || (n < left.length && lengths[n + 1][m] >= lengths[n][m + 1])) gone += 1;
    else come += 1;
  }
  if (gone + come > 0) yield { from, to, gone, come };
}

/** How many entries the ends of two lists have in common at most, in order: `[n][m]` from n and from m on. */
function commonLengths(left, right) {
  const lengths = Array.from({ length: left.length + 1 }, () => new Uint16Array(right.length + 1));
  for (let n = left.length - 1; n >= 0; n -= 1) {
    for (let m = right.length - 1; m >= 0; m -= 1) {
      lengths[n][m] = left[n] === right[m] ? lengths[n + 1][m + 1] + 1 : Math.max(lengths[n + 1][m], lengths[n][m + 1]);
    }
  }
  return lengths;
}

/** Whether two values of JSON say the same. */
export function same(one, other) {
  if (one === other) return true;
  const kind = kindOf(one);
  if (kind === "plain" || kind !== kindOf(other)) return false;
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length && keys.every((key) => Object.hasOwn(other, key) && same(one[key], other[key]));
}

/** "list", "object" or "plain". */
export function kindOf(value) {
  if (Array.isArray(value)) return "list";
  return value !== null && typeof value === "object" ? "object" : "plain";
}

/** A path as people write it: `messages[3].text`. */
export function written(path) {
  const parts = path.map((part) => {
    if (typeof part === "number") return `[${part}]`;
    return /^[A-Za-z_]\w*$/.test(part) ? `.${part}` : `[${JSON.stringify(part)}]`;
  });
  return parts.join("").replace(/^\./, "") || "(all)";
}
