// Questions are addresses: `#/audit?stream=…&rejected=true`. Whoever has the link has the question.

/** A hash of a route and those fields that say something. */
export function link(route, fields = {}) {
  const said = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const query = new URLSearchParams(said.map(([name, value]) => [name, String(value)])).toString();
  return query ? `${route}?${query}` : route;
}

/** Go there. Returns whether that is elsewhere: going to where one is, nothing hears of. */
export function go(hash) {
  if (location.hash === hash) return false;
  location.hash = hash;
  return true;
}
