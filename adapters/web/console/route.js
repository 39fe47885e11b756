// Which view an address names.

import { shortId } from "./format.js";

const PAGES = { audit: "Audit", clients: "Clients", integrity: "Integrity" };

/**
 * What a hash names: `name` of the view, its `props`, its `title`, and `place`, which is the same for addresses within one
 * place (the events of one stream, the filters of one search).
 */
export function routeOf(hash) {
  const text = hash.replace(/^#/, "");
  if (text === "" || text === "/") return { name: "board", props: {}, title: "Board", place: "board" };
  if (text.startsWith("/")) return pageOf(text.slice(1));
  return streamOf(text);
}

function pageOf(text) {
  const [path, query = ""] = text.split(/\?(.*)/s);
  const [name, ...rest] = path.split("/");
  const title = PAGES[name];
  if (!title) return { name: "board", props: {}, title: "Board", place: "board" };
  const filters = new URLSearchParams(query);
  const connection = name === "clients" && rest[0] ? plain(rest[0]) : null;
  return { name, props: { filters, connection }, title: connection ? `Client ${shortId(connection)}` : title, place: path };
}

/** `stream@seq`, divided by the last @; what stands behind it and is no number belongs to the name. */
function streamOf(text) {
  const [, name, seq] = /^(.*)@(\d{1,15})$/s.exec(text) ?? [null, text, null];
  const stream = plain(name);
  const at = seq === null ? null : Number(seq);
  return { name: "stream", props: { stream, at }, title: `${shortId(stream, 28)}${at === null ? "" : `@${at}`}`, place: `#${stream}` };
}

function plain(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // somebody typed a lone %
  }
}
