// What of an event's payload is kept as bytes of their own.

const MOST = 20;
const DIGEST = /^[0-9a-f]{64}$/;
const UNKNOWN = "application/octet-stream";
/** Chunks that are looked at before and behind one, at most: a transcription is of no more. */
const MOST_CHUNKS = 1024;
const RECEIVED = /^session\.media_received(\/|$)/;

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

const isSound = (media) => media?.type.startsWith("audio/") ?? false;

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
  if (parts.length > 0 && !found.has(parts[0].digest)) found.set(parts[0].digest, joined(parts));
}

function joined(parts) {
  const [{ digest, type }] = parts;
  return { digest, type, size: parts.reduce((sum, { size }) => sum + size, 0), parts };
}

/** Whether the record is of audio that a device sent, all of it or a chunk. */
export const isChunk = ({ event, payload }) => RECEIVED.test(event) && payload?.kind === "audio";

/** The sound that a record's chunk is of, as `soundsIn` has it: what the same device sent from a chunk of a known type up to
 * the next one, or to another kind. `read(version)` resolves to a record of the stream, or undefined where that is not in
 * reach; null where the sound's beginning or its end is not. */
export async function recordingOf(record, { outline, read }) {
  const parts = [chunkOf(record)];
  for await (const chunk of receivedBeside(record, -1, outline, read)) {
    if (!goesOn(parts[0])) break;
    parts.unshift(chunk);
  }
  if (!isSound(parts[0])) return null;
  for await (const chunk of receivedBeside(record, 1, outline, read)) {
    if (chunk === undefined) return null;
    if (!goesOn(chunk)) break;
    parts.push(chunk);
  }
  return joined(parts);
}

/** The chunks that the record's device sent before it (`step` -1) or behind it (1), the nearest first; null in the place of
 * another kind, and undefined, as the last, for what is not in reach. */
async function* receivedBeside({ version, origin }, step, outline, read) {
  let looked = 0;
  for (let at = version + step; at >= 1 && at <= outline.version; at += step) {
    if (!RECEIVED.test(outline.event(at))) continue;
    looked += 1;
    const record = looked > MOST_CHUNKS ? undefined : await read(at);
    if (record === undefined) return yield undefined;
    if (record.origin === origin) yield chunkOf(record);
  }
}

const chunkOf = (record) => (isChunk(record) ? mediaOf(record.payload.media) : null);

const goesOn = (chunk) => chunk?.type === UNKNOWN;
