// Close codes: what they mean, and whether the client may come back. The README has the same table.

const CODES = {
  1000: ["What it heard has ended, or it left on purpose", "no need to come back"],
  1001: ["It went away: a page was left, or a program ended", "comes back by itself"],
  1002: ["It spoke no WebSocket", "the client has a fault"],
  1003: ["It sent what cannot be read", "the client has a fault"],
  1005: ["It closed without saying why", "comes back when it wants"],
  1006: ["The connection broke off without a goodbye", "comes back with its place"],
  1007: ["It sent a text that is no UTF-8", "the client has a fault"],
  1008: ["There is no such stream, or its token is not valid", "with another token"],
  1009: ["It sent a frame over the size limit", "comes back, with less"],
  1011: ["A fault of the server", "comes back"],
  1012: ["The server restarted", "comes back with its place"],
  1013: ["Too busy, or too many connections", "comes back later"],
  4008: ["It read too slowly, and too much was waiting for it", "comes back with its place"],
  4009: ["It was silent for too long, without even a pong", "comes back with its place"],
  4401: ["Its token expired during the talk", "comes back with a fresh one"],
};

/** What a close code means, in words: {meaning, then}. */
export function meaningOf(code) {
  const [meaning, then] = CODES[code] ?? ["A code of its own", undefined];
  if (then) return { meaning, then };
  return { meaning, then: code >= 4500 && code <= 4999 ? "does not come back" : "may come back" };
}
