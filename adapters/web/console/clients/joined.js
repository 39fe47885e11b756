// Who joined a stream, as the stream itself has it: also those of whom the notes of delivery tell nothing any more.

/** The events that say so, by the kind of stream. Channels have none: whoever listens leaves no event there. */
export const JOINED = { conversation: "conversation.client_joined", session: "session.device_joined", call: "call.socket_connected" };

/** `connections` as the API has them, and behind them those of the joining events `entries` that are not among them. */
export function withJoined(connections, entries) {
  const known = new Set(connections.map(({ connection }) => connection));
  const others = [];
  for (const { payload, principal, time } of entries) {
    const connection = payload?.connection_id;
    if (!connection || known.has(connection)) continue;
    known.add(connection);
    others.push({ connection, principal, dialect: null, opened: null, closed: null, code: null, joined: time, streams: [] });
  }
  return [...connections, ...others];
}
