// What of an event's payload is kept as bytes of their own.

const MOST = 20;
const DIGEST = /^[0-9a-f]{64}$/;
const UNKNOWN = "application/octet-stream";

/** The sounds that a value of JSON names, each once, at most 20: `{digest, size, type, parts}`. In a list, what is of no
 * known type goes on with the sound before it, as recorders send one file in pieces: `parts` are `{digest, size, type}`. */
export function soundsIn(payload) {
  const found = new Map();
  const waiting = [payload];
  while (waiting.length > 0 && found.size < MOST) {
    const value = waiting.pop();
    if (value === null || typeof value !== "object") continue;
    const one = mediaOf(value);
    if (isSound(one)) add(found, [one]);
    if (Array.isArray(value)) addPieces(found, value);
    waiting.push(...Object.values(value).reverse());
  }
  return [...found.values()];
}

/** `{digest, size, type}`, or null where it names no bytes. */
function mediaOf(value) {
  const type = value?.media_type ?? value?.type;
  if (typeof type !== "string" || typeof value.digest !== "string" || !DIGEST.test(value.digest)) return null;
  return { digest: value.digest, size: Number(value.size) || 0, type };
}

const isSound = (media) => media !== null && media.type.startsWith("audio/");

function addPieces(found, list) {
  let parts = [];
  for (const media of list.map(mediaOf)) {
    if (parts.length > 0 && media?.type === UNKNOWN) {
      parts.push(media);
      continue;
    }
    add(found, parts);
    parts = isSound(media) ? [media] : [];
  }
  add(found, parts);
}

function add(found, parts) {
  if (parts.length === 0 || found.has(parts[0].digest)) return;
  const [{ digest, type }] = parts;
  found.set(digest, { digest, type, size: parts.reduce((sum, { size }) => sum + size, 0), parts });
}
