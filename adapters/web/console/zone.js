// The time zone all times of the page are shown in: the reader's own, or UTC. Kept for the browser, not for the tab.

const KEPT = "callboard.zone";
const UTC = "UTC";
const watchers = new Set();
let wantsUtc = kept() === UTC;

/** Whether times are shown in UTC because somebody wants that. */
export const isUtc = () => wantsUtc;

/** Show them in UTC from now on, or in the reader's own zone. */
export function showUtc(wanted) {
  wantsUtc = wanted;
  try {
    localStorage.setItem(KEPT, wanted ? UTC : "local");
  } catch {
    // Nothing can be kept here: it holds until the page is left.
  }
  for (const watcher of [...watchers]) watcher();
}

/** Hear that the zone is another one. Answers the function that stops hearing. */
export function onZone(watcher) {
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

/** Minutes the shown zone is ahead of UTC at that moment (ms). */
export const ahead = (ms) => (wantsUtc ? 0 : -new Date(ms).getTimezoneOffset());

/** The name of the reader's own zone: "America/New_York". */
export const ownZone = () => Intl.DateTimeFormat().resolvedOptions().timeZone;

/** "UTC", "UTC−5" or "UTC+5:30": the shown zone at that moment (ms). */
export function zoneLabel(ms = Date.now()) {
  const minutes = ahead(ms);
  if (!minutes) return UTC;
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  return `${UTC}${minutes < 0 ? "−" : "+"}${hours}${rest ? `:${String(rest).padStart(2, "0")}` : ""}`;
}

function kept() {
  try {
    return globalThis.localStorage?.getItem(KEPT) ?? null;
  } catch {
    return null; // the browser keeps nothing for this page
  }
}
