// Sound that an event names by its digest, to listen to.

import { bytes } from "../format.js";
import { blob } from "../server.js";
import { Failure, html, Loading, useAnswer, useEffect, useState } from "../ui.js";
import { recordingOf, soundsIn } from "./media.js";

/** ms that an event is looked at before its sound is fetched: who steps through a stream fetches nothing. */
const PAUSE = 250;
/** Bytes and pieces that are fetched without being asked for. */
const MOST_UNASKED = 4_000_000;
const MOST_PIECES = 4;
/** Pages of records that are asked for, at most, to find the chunks of a recording. */
const MOST_ASKS = 40;

/** A player for each sound the payload names. */
export function Sounds({ payload }) {
  const sounds = soundsIn(payload);
  return sounds.length === 0 ? null : html`<div class="sounds">${sounds.map((sound) => html`<${Sound} key=${sound.digest} sound=${sound} />`)}</div>`;
}

/** A player for all of the recording that the record has a chunk of, as it is when one comes to it. */
export function Recording({ model, record }) {
  const isStaying = useStaying();
  const [sound, error, reload] = useAnswer((signal) => (isStaying ? found(model, record, signal) : Promise.resolve()), [isStaying]);
  if (error) return html`<${Failure} title="The recording that this is a chunk of cannot be found" error=${error} retry=${reload} />`;
  if (sound === undefined) return html`<${Loading} what="Finding the recording" />`;
  if (sound === null) return html`<p class="muted">This is a chunk of a recording that is not in reach from its beginning to its end: there is nothing to play.</p>`;
  return html`<div class="sounds"><${Sound} sound=${sound} /></div>`;
}

function found({ outline, records }, record, signal) {
  let asks = 0;
  const read = async (version) => {
    signal.throwIfAborted();
    if (records.get(version) === undefined) asks += 1;
    return asks > MOST_ASKS ? undefined : records.read(version);
  };
  return recordingOf(record, { outline, read });
}

function Sound({ sound }) {
  const { digest, size, type, parts } = sound;
  const [{ url, error }, set] = useState({});
  const [isWished, wish] = useState(size <= MOST_UNASKED && parts.length <= MOST_PIECES);
  const [round, again] = useState(0);
  const isDue = useStaying() && isWished;
  useEffect(() => {
    if (!isDue) return undefined;
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
  }, [isDue, round]);
  const name = `${type}, ${bytes(size)}${parts.length > 1 ? ` in ${parts.length} pieces` : ""}`;
  if (error) return html`<${Failure} title=${`The sound (${name}) cannot be played`} error=${error} retry=${() => again(round + 1)} />`;
  return html`
    <figure class="sound">
      <figcaption>${name} <code title=${digest}>${digest.slice(0, 12)}…</code></figcaption>
      ${url && html`<audio controls src=${url} aria-label=${`Sound: ${name}`}></audio>`}
      ${!url && (isWished ? html`<p class="muted" role="status">Fetching…</p>` : html`<button type="button" onClick=${() => wish(true)}>Fetch it</button>`)}
    </figure>`;
}

/** Whether one has looked for a while. */
function useStaying() {
  const [isStaying, set] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => set(true), PAUSE);
    return () => clearTimeout(timer);
  }, []);
  return isStaying;
}

/** All pieces as one, one after the other: each is put on record, and none is worth a hurry. */
async function whole({ type, parts }, signal) {
  const pieces = [];
  for (const part of parts) pieces.push(await blob(`/api/audit/blobs/${part.digest}`, { type: part.type }, signal));
  return new Blob(pieces, { type });
}
