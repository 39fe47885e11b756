// What all acts share: they are done once however often one tries, and say what came of them.

import { html, useEffect, useRef, useState } from "../ui.js";
import { get } from "../server.js";
import { eventLabel, streamHref } from "../format.js";
import { faultsOf } from "../audit/filters.js";
import { dropDrafts } from "./drafts.js";

/** A key by which the server knows a request again. Also where the page came over plain HTTP, and has no randomUUID. */
export function newKey() {
  const random = crypto.getRandomValues(new Uint8Array(16));
  return `console-${[...random].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** What the log has of a refused command: {code, version}; null where a refusal leaves no event. */
async function onRecord(stream, key) {
  const query = { stream, command_id: key, rejected: "true", limit: 1 };
  const { entries } = await get("/api/audit/events", query).catch(() => ({ entries: [] }));
  return entries.length ? { code: entries[0].payload.code, version: entries[0].version } : null;
}

/**
 * An act: {busy, error, told, refused, run}. `run(content, act)` calls `act(headers)`; the key in the headers stays the same as
 * long as the same content failed without a verdict, so that trying again after a lost answer does nothing twice. Where
 * the act is a command to `stream`, `refused` is what the log has of a refusal.
 */
export function useAct(stream = null) {
  const [state, setState] = useState({ busy: false, error: null, told: null, refused: null });
  const last = useRef({ content: null, key: null });
  const isThere = useRef(true);
  useEffect(() => () => (isThere.current = false), []);
  const tell = (more) => isThere.current && setState((before) => ({ ...before, ...more }));
  // A button that were disabled meanwhile would lose the focus; so a second press is heard, and nothing comes of it.
  const isRunning = useRef(false);
  const run = async (content, act) => {
    if (isRunning.current) return;
    isRunning.current = true;
    await once(content, act);
    isRunning.current = false;
  };
  const once = async (content, act) => {
    const text = JSON.stringify(content);
    if (last.current.content !== text) last.current = { content: text, key: newKey() };
    const { key } = last.current;
    tell({ busy: true, error: null, refused: null });
    try {
      tell({ told: await act({ "Idempotency-Key": key }), busy: false });
      last.current = { content: null, key: null };
    } catch (error) {
      if (hasVerdict(error)) last.current = { content: null, key: null };
      tell({ error, told: null, busy: false });
      if (stream && hasVerdict(error)) tell({ refused: await onRecord(stream, key) });
    }
  };
  return { ...state, run };
}

/** Whether the server has decided: then trying again is a new act. */
const hasVerdict = ({ status }) => status >= 400 && status < 500 && status !== 429;

const AT_FIELD = /^(.*?) - at `\$\.(\w+).*`$/s;
const MISSING = /missing required field `(\w+)`/;

/** Messages of a 422 by field, and the rest. What is said of a whole body is often of one field of it. */
export function bodyFaults(error, fields) {
  if (error?.status !== 422) return { fields: {}, rest: [] };
  const { fields: told, rest } = faultsOf(error, fields);
  const remaining = rest.filter((message) => {
    const [, words, field] = AT_FIELD.exec(message) ?? [null, "This must be given", MISSING.exec(message)?.[1]];
    if (fields.includes(field)) told[field] = words.replace(/^body: /, "");
    return !fields.includes(field);
  });
  return { fields: told, rest: remaining };
}

/** The server's no to an act: its code and its words. `known`: fields at which some of it is said already. */
export function Refusal({ act, stream, known = [] }) {
  const { error, refused } = act;
  if (!error) return null;
  const faults = bodyFaults(error, known);
  const isAllAtFields = error.status === 422 && faults.rest.length === 0;
  const { code, message } = refusalOf(error, faults);
  return html`
    <div class="failure" role="alert">
      <p class="failure-title">${error.status === 0 ? "No answer" : "Refused"} <code>${refused?.code ?? code}</code></p>
      <p>${isAllAtFields ? "See the fields above." : message}</p>
      ${refused && html`<p>The refusal is on record: <a href=${streamHref(stream, refused.version)}>@${refused.version}</a></p>`}
      ${!hasVerdict(error) && html`<p class="muted">Trying again is safe: it is done once at most.</p>`}
    </div>
  `;
}

function refusalOf(error, faults) {
  const { detail, status } = error;
  if (status === 422) return { code: 422, message: faults.rest.join("; ") };
  if (detail && typeof detail === "object" && !Array.isArray(detail)) {
    return { code: detail.code ?? status, message: detail.message ?? JSON.stringify(detail) };
  }
  return { code: error.code ?? (status || null), message: error.message };
}

/** What an accepted command led to, as links. */
export function Effect({ stream, told }) {
  const { events, version } = told;
  return html`
    <div class="act-effect" role="status">
      <p><strong class="good">Accepted</strong>${events.length ? ", and recorded:" : `: nothing changed; the stream is at @${version}.`}</p>
      <ul>
        ${events.map((each) => html`
          <li key=${each.version}><a href=${streamHref(stream, each.version)}>@${each.version}</a> ${eventLabel(each.event)}</li>`)}
      </ul>
    </div>
  `;
}

/** Leaves the dialog that a button is in, so that the focus goes back to where it was. */
export const closeDialog = (event) => event.currentTarget.closest("dialog").close();

/** Leaves it for good. It takes the focus each time something was `told`: another Enter is no second act. */
export function Done({ told }) {
  const button = useRef(null);
  useEffect(() => button.current.focus(), [told]);
  return html`<button type="button" class="quiet" ref=${button} onClick=${closeDialog}>Done</button>`;
}

/** Gives up what was typed into the act. */
export function Cancel({ stream, act }) {
  const cancel = (event) => {
    dropDrafts(stream, act);
    closeDialog(event);
  };
  return html`<button type="button" class="quiet" onClick=${cancel}>Cancel</button>`;
}
