// What of an event's payload is kept as bytes of their own.

const MOST = 20;
const DIGEST = /^[0-9a-f]{64}$/;

/** The sounds that a value of JSON names: `{digest, size, type}`, each once, at most 20. */
export function soundsIn(payload) {
  const found = new Map();
  const waiting = [payload];
  while (waiting.length > 0 && found.size < MOST) {
    const value = waiting.pop();
    if (value === null || typeof value !== "object") continue;
    const type = value.media_type ?? value.type;
    const isSound = typeof type === "string" && type.startsWith("audio/") && typeof value.digest === "string" && DIGEST.test(value.digest);
    if (isSound) found.set(value.digest, { digest: value.digest, size: Number(value.size) || 0, type });
    waiting.push(...Object.values(value).reverse());
  }
  return [...found.values()];
}
