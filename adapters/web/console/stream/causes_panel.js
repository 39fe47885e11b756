// What led to an event, and what came of it, across streams.

import { Empty, Failure, html, Loading, Time, useAnswer, useState, visible } from "../ui.js";
import { count, eventLabel, micros, streamHref } from "../format.js";
import { get } from "../server.js";
import { useAsked } from "./timing.js";

const PAUSE = 300;
const MOST_SHOWN = 30;
const MORE = 200;

/** Asked for while the panel is open, when one stays at an event for a moment: being told is on record. */
export function CausesPanel({ model, journey }) {
  const { cursor } = journey;
  const { at, isHeld, button } = useAsked(model.stream, journey, PAUSE, "Follow the causes");
  const id = `${model.stream}@${at}`;
  const path = `/api/audit/causes/${encodeURIComponent(model.stream)}@${at}`;
  const [story, error, reload] = useAnswer((signal) => (!at ? Promise.resolve(null) : get(path, {}, signal)), [path]);
  if (cursor === 0) return html`<${Empty} title="Before the first event">Nothing led to nothing.<//>`;
  if (error) return html`<${Failure} title="The causes cannot be shown" error=${error} retry=${reload} />`;
  if (at === null) return button;
  if (!story || (at !== cursor && !isHeld)) return html`<${Loading} what="Following the causes" />`;
  return html`
    <div class="causes" data-version=${at}>
      ${button}
      <section aria-label="What led to it">
        <h3>What led to it</h3>
        ${story.causes.length === 0 && html`<p class="muted">It came from outside: nothing in the log led to it.</p>`}
        <${Decisions} decisions=${story.causes} own=${id} />
      </section>
      <section aria-label="It, and what came of it">
        <h3>It, and what came of it</h3>
        <${Decisions} decisions=${[story.decision]} own=${id} />
      </section>
      ${story.others.length > 0 && html`<section aria-label="Came from outside in the same correlation">
        <h3>Came from outside in the same correlation</h3><${Decisions} decisions=${story.others} own=${id} /></section>`}
    </div>`;
}

function Decisions({ decisions, own }) {
  const [most, showMore] = useState(MOST_SHOWN);
  if (decisions.length === 0) return null;
  return html`<ul class="decisions" role="list">
    ${decisions.slice(0, most).map((decision) => html`<li key=${`${decision.stream}@${decision.events[0]?.version}`}><${Decision} decision=${decision} own=${own} /></li>`)}
    ${decisions.length > most && html`<li><button type="button" class="quiet" onClick=${() => showMore(most + MORE)}>${count(decisions.length - most, "more decision")}</button></li>`}
  </ul>`;
}

/** A command, the events it led to, and below them what those led to. */
function Decision({ decision, own }) {
  const { stream, command, time, principal, events, effects, more_below: below } = decision;
  return html`
    <p class="decision"><b>${command ? label(command.name) : "no command recorded"}</b>
      <span class="muted"> · ${visible(stream)} · ${visible(principal)} · <${Time} at=${micros(time)} as="precise" /></span></p>
    <ul class="outcomes" role="list">${events.map(({ version, event }) => html`
      <li key=${version}><a href=${streamHref(stream, version)} aria-current=${`${stream}@${version}` === own ? "true" : null}>${label(event)} <span class="muted">@${version}</span></a></li>`)}</ul>
    <${Decisions} decisions=${effects} own=${own} />
    ${below > 0 && html`<p class="muted">${count(below, "decision")} below these</p>`}`;
}

/** A stored name, `conversation.message_said/1`, without its own version, which nobody wants to know here. */
const label = (stored) => eventLabel(stored.split("/")[0]);
