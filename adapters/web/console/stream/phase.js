// How a stream is at its end, in one word, as the board has it.

import { useEffect, useRef, useState } from "../ui.js";
import { category } from "../format.js";
import { useSettled } from "./timing.js";

const PAUSE = 400;
const OVER = { conversation: "ended", call: "ended", session: "expired" };
const QUIET = ["idle", "ended", "expired", "closed", "disconnected"];

/** The word for a state; "" where such streams have none, or nothing is known. */
export function labelOf(kind, state) {
  if (!state) return "";
  if (kind === "conversation") return state.phase ?? "unopened";
  if (kind === "call") return labelOfCall(state);
  if (kind === "session") return labelOfSession(state);
  return "";
}

function labelOfCall({ known, ended, socket, response }) {
  if (!known) return "unopened";
  if (ended) return "ended";
  if (!socket) return "disconnected";
  return response ? "responding" : "listening";
}

function labelOfSession({ user, expired, open, devices }) {
  if (user == null) return "unopened";
  if (expired) return "expired";
  if (open?.length) return "working";
  return devices?.length ? "open" : "idle";
}

/** Whether nothing can happen any more in a stream of that kind. */
export const isOver = (kind, label) => OVER[kind] === label;

/** The class of its pill. */
export const toneOf = (label) => (["error", "failed"].includes(label) ? "bad" : QUIET.includes(label) ? "muted" : "");

/** The word for the stream of `model` at its end: asked for when that has stayed for a moment, unless it is there already. */
export function useLabel(model) {
  const kind = category(model.stream);
  const [label, tell] = useState("");
  const end = useSettled(model.version, PAUSE);
  const told = useRef(0);
  const isThere = model.states.has(model.version);
  useEffect(() => {
    if (!(kind in OVER) || model.status !== "ready") return undefined;
    if (isThere) return void tell(labelOf(kind, model.states.get(model.version)));
    if (end !== model.version || end === 0) return undefined;
    const turn = (told.current += 1);
    model.socket.ask({ type: "state", stream: model.stream, at: end }).then(
      ({ state }) => turn === told.current && tell(labelOf(kind, state)),
      () => {}, // it is asked for again with the next event, or when one goes to the end
    );
    return () => (told.current += 1);
  }, [model.status, model.version, end, isThere]);
  return label;
}
