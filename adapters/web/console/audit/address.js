// Questions are addresses: `#/audit?stream=…&rejected=true`. Whoever has the link has the question.

import { useEffect, useState } from "../ui.js";

/** What a hash asks for: the route before the question mark, and the fields behind it as a plain object. */
export function parse(hash) {
  const at = hash.indexOf("?");
  const route = at < 0 ? hash : hash.slice(0, at);
  const fields = at < 0 ? {} : Object.fromEntries(new URLSearchParams(hash.slice(at + 1)));
  return { route, fields };
}

/** A hash of a route and those fields that say something. */
export function link(route, fields = {}) {
  const said = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const query = new URLSearchParams(said.map(([name, value]) => [name, String(value)])).toString();
  return query ? `${route}?${query}` : route;
}

/** The link to a stream, or to one of its versions. */
export function streamLink(stream, version) {
  return `#${encodeURIComponent(stream)}${version === undefined ? "" : `@${version}`}`;
}

/** The route and fields of the page's address, now and whenever it changes. */
export function useAddress() {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const look = () => setHash(location.hash);
    addEventListener("hashchange", look);
    look();
    return () => removeEventListener("hashchange", look);
  }, []);
  return parse(hash);
}

/** Go there. Returns whether that is elsewhere: to where one is there is no way, and nothing hears of it. */
export function go(hash) {
  if (location.hash === hash) return false;
  location.hash = hash;
  return true;
}
