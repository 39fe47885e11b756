// Sound that an event names by its digest, to listen to.

import { bytes } from "../format.js";
import { blob } from "../server.js";
import { Failure, html, useEffect, useState } from "../ui.js";
import { soundsIn } from "./media.js";
import { useSettled } from "./timing.js";

/** ms that an event is looked at before its sound is fetched: who steps through a stream fetches nothing. */
const PAUSE = 250;
/** Bytes and pieces that are fetched without being asked for. */
const MOST_UNASKED = 4_000_000;
const MOST_PIECES = 4;

/** A player for each sound the payload names. */
export function Sounds({ payload }) {
  const sounds = soundsIn(payload);
  return sounds.length === 0 ? null : html`<div class="sounds">${sounds.map((sound) => html`<${Sound} key=${sound.digest} sound=${sound} />`)}</div>`;
}

function Sound({ sound }) {
  const { digest, size, type, parts } = sound;
  const [{ url, error }, set] = useState({});
  const [isWished, wish] = useState(size <= MOST_UNASKED && parts.length <= MOST_PIECES);
  const [round, again] = useState(0);
  const settled = useSettled(isWished ? `${digest} ${round}` : null, PAUSE);
  useEffect(() => {
    if (settled === null) return undefined;
    const aborting = new AbortController();
    let made;
    set({});
    whole(sound, aborting.signal).then(
      (content) => aborting.signal.aborted || set({ url: (made = URL.createObjectURL(content)) }),
      (reason) => aborting.signal.aborted || set({ error: reason }),
    );
    return () => {
      aborting.abort();
      if (made) URL.revokeObjectURL(made);
    };
  }, [settled]);
  const name = `${type}, ${bytes(size)}${parts.length > 1 ? ` in ${parts.length} pieces` : ""}`;
  if (error) return html`<${Failure} title=${`The sound (${name}) cannot be played`} error=${error} retry=${() => again(round + 1)} />`;
  return html`
    <figure class="sound">
      <figcaption>${name} <code title=${digest}>${digest.slice(0, 12)}…</code></figcaption>
      ${url && html`<audio controls src=${url} aria-label=${`Sound: ${name}`}></audio>`}
      ${!url && (isWished ? html`<p class="muted" role="status">Fetching…</p>` : html`<button type="button" onClick=${() => wish(true)}>Fetch it</button>`)}
    </figure>`;
}

/** All pieces as one, one after the other: each is put on record, and none is worth a hurry. */
async function whole({ type, parts }, signal) {
  const pieces = [];
  for (const part of parts) pieces.push(await blob(`/api/audit/blobs/${part.digest}`, { type: part.type }, signal));
  return new Blob(pieces, { type });
}
