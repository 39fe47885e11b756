// What the page asks the server: REST answers here, the one WebSocket of all views in socket.js.

import { Socket } from "./socket.js";

/** Where the server is: the folder above /console/, so that a proxy may put a prefix before it. */
const ROOT = new URL("..", import.meta.url);
const TIMEOUT = 15_000;
const TOKEN = "callboard.token";
const signedOut = new Set();

/** A request that failed: `status` is HTTP's, 0 where no answer came; `detail` is what the server said of it. */
export class ServerError extends Error {
  constructor(status, detail) {
    super(describe(status, detail));
    this.name = "ServerError";
    this.status = status;
    this.detail = detail;
  }
}

/** Who one is: the token, kept for this tab until it is closed. */
export const token = {
  get: () => sessionStorage.getItem(TOKEN),
  set: (value) => sessionStorage.setItem(TOKEN, value),
  clear: () => sessionStorage.removeItem(TOKEN),
};

/** Hear that the server does not know (any more) who one is. Answers the function that stops hearing. */
export function onUnauthorized(listener) {
  signedOut.add(listener);
  return () => signedOut.delete(listener);
}

/** GET: the JSON answer. Rejects with ServerError, also after 15 s without one. */
export const get = (path, query = {}, signal = null) =>
  timed(signal, async (inTime) => (await request(path, { query, signal: inTime })).json());

/** POST of a JSON body: the JSON answer, null for an empty one. Rejects as `get`. */
export const post = (path, body = {}, headers = {}) =>
  timed(null, async (signal) => {
    const json = { "Content-Type": "application/json", ...headers };
    const text = await (await request(path, { method: "POST", headers: json, body: JSON.stringify(body), signal })).text();
    return text ? JSON.parse(text) : null;
  });

/** GET: the bytes of the answer, as a Blob. Rejects as `get`, but takes the time it takes. */
export const blob = async (path, query = {}, signal = null) => interrupted((await request(path, { query, signal })).blob());

/** Read newline-delimited JSON as it comes: `onLine` gets each value. Resolves at the end. */
export async function lines(path, query, onLine, signal = null) {
  const response = await request(path, { query, signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await interrupted(reader.read());
    const parts = (rest + (value ?? "")).split("\n");
    rest = done ? "" : parts.pop();
    parts.filter((line) => line.trim()).forEach((line) => onLine(JSON.parse(line)));
    if (done) return;
  }
}

/** Exchange name and password for a token, which is kept. Rejects with ServerError. */
export async function signIn(user, password) {
  const body = new URLSearchParams({ username: user, password });
  const answer = await timed(null, async (signal) => (await request("/token", { method: "POST", body, signal, anonymous: true })).json());
  token.set(answer.access_token);
}

/** The one WebSocket of all views. */
export const socket = new Socket({ url: socketUrl, token: token.get, failure: (detail) => new ServerError(0, detail) });

function socketUrl() {
  const url = new URL("console/socket", ROOT);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url;
}

/** One request: the answer as `fetch` has it. Whatever is no success becomes a ServerError; what the caller aborted stays an
 * AbortError. */
export async function request(path, { method = "GET", query = {}, headers = {}, body, signal, anonymous = false }) {
  const url = new URL(path.replace(/^\//, ""), ROOT);
  const pairs = query instanceof URLSearchParams ? query : Object.entries(query);
  for (const [name, value] of pairs) if (value != null && value !== "") url.searchParams.append(name, value);
  const credentials = token.get();
  if (credentials && !anonymous) headers = { ...headers, Authorization: `Bearer ${credentials}` };
  const response = await interrupted(fetch(url, { method, headers, body, signal, cache: "no-store" }));
  if (response.ok) return response;
  if (response.status === 401 && !anonymous) signedOut.forEach((listener) => listener());
  throw new ServerError(response.status, await detailOf(response));
}

/** Run with a signal that ends it after 15 s. */
async function timed(outer, run) {
  const limit = AbortSignal.timeout(TIMEOUT);
  try {
    return await run(outer ? AbortSignal.any([outer, limit]) : limit);
  } catch (error) {
    if (limit.aborted && !(error instanceof ServerError)) throw new ServerError(0, "The server did not answer within 15 s");
    throw error;
  }
}

async function interrupted(promise) {
  try {
    return await promise;
  } catch (error) {
    if (error.name === "AbortError" || error.name === "TimeoutError") throw error;
    throw new ServerError(0, "The server cannot be reached");
  }
}

async function detailOf(response) {
  const text = await response.text().catch(() => "");
  try {
    return JSON.parse(text).detail ?? text;
  } catch {
    return text.slice(0, 500) || response.statusText;
  }
}

function describe(status, detail) {
  if (typeof detail === "string") return detail || `The server answered ${status}`;
  if (Array.isArray(detail)) return detail.map(({ loc, msg }) => `${(loc ?? []).join(".")}: ${msg}`).join("; ");
  return detail == null ? `The server answered ${status}` : JSON.stringify(detail);
}
