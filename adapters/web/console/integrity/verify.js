// Holding the whole log against its chain and its checkpoints, with progress.

import { Copy, html, useEffect, useRef, useState } from "../ui.js";
import { lines } from "../server.js";
import { count, duration, eventPlace, number, streamHref } from "../format.js";

const IDLE = { busy: false, progress: null, verdict: null, error: null };

/** A button, a progress bar and a verdict. */
export function Verify() {
  const { state, start, cancel } = useVerification();
  const { busy, progress, verdict, error } = state;
  return html`
    <section class="panel integrity-verify" aria-labelledby="integrity-verify">
      <h2 id="integrity-verify">Is the log what was recorded?</h2>
      <p>Follows the hash chain through every event and holds it against every checkpoint: nothing altered, missing,
        inserted or moved. It comes last on the machine, so that the living are not slowed.</p>
      <p class="audit-actions">
        ${busy
          ? html`<button type="button" onClick=${cancel}>Cancel</button>`
          : html`<button type="button" class="primary" onClick=${start}>${verdict ? "Verify again" : "Verify the log"}</button>`}
      </p>
      ${busy && html`<${Progress} progress=${progress} />`}
      <div aria-live="polite">
        ${state.cancelled && html`<p class="muted">Cancelled: nothing was found out.</p>`}
        ${verdict && html`<${Verdict} verdict=${verdict} took=${state.took} />`}
      </div>
      ${error && html`<p class="audit-fault" role="alert">${error.status === 429
        ? "The log is being verified for somebody else: try again in ten seconds." : error.message}</p>`}
    </section>
  `;
}

function useVerification() {
  const [state, setState] = useState(IDLE);
  const running = useRef(null);
  useEffect(() => () => running.current?.abort(), []);
  const start = async () => {
    const { signal } = (running.current = new AbortController());
    const begun = performance.now();
    let verdict = null;
    setState({ ...IDLE, busy: true });
    const take = (line) => {
      if ("ok" in line) verdict = line;
      else setState({ ...IDLE, busy: true, progress: line });
    };
    try {
      await lines("/api/audit/verify", {}, take, signal);
      const error = verdict ? null : new Error("The answer was cut off before its verdict: verify again");
      setState({ ...IDLE, verdict, error, took: (performance.now() - begun) * 1000 });
    } catch (error) {
      setState({ ...IDLE, cancelled: signal.aborted, error: signal.aborted ? null : error });
    }
  };
  return { state, start, cancel: () => running.current?.abort() };
}

function Progress({ progress }) {
  const done = progress?.done ?? 0;
  return html`
    <p class="integrity-progress">
      <progress aria-label="Events verified" max=${progress?.of || 1} value=${progress ? done : undefined}></progress>
      <span>${progress ? `${number(done)} of ${count(progress.of, "event")}` : "Beginning…"}</span>
    </p>
  `;
}

/** The checkpoints that hold, and whose signatures they have: whether those are true is for who has the public key. */
function Attested({ checkpoints }) {
  if (!checkpoints) return html`<p>There is no checkpoint yet to hold it against.</p>`;
  const { held, newest, signed, keys } = checkpoints;
  return html`
    <p><strong>${count(held, "checkpoint")} ${held === 1 ? "holds" : "hold"}</strong>, the newest of ${count(newest, "event")}; ${signed === 0
      ? "unsigned." : html`signed up to position ${number(signed)} by the ${keys.length === 1 ? "key" : "keys"} ${keys.map((key, n) => html`${n > 0 && ", "}<code>${key}</code>`)}.`}</p>
    ${signed > 0 && html`<p class="muted">This page does not check signatures; whoever has the public key does: <code>callboard verify --public-key KEY</code></p>`}
  `;
}

function Verdict({ verdict, took }) {
  if (verdict.ok) {
    return html`
      <div class="integrity-verdict integrity-holds">
        <p><strong>The chain holds</strong>: ${count(verdict.events, "event")}, looked at in ${duration(took)}.</p>
        <${Attested} checkpoints=${verdict.checkpoints} />
        <dl class="audit-facts"><div><dt>Head</dt><dd><code>${verdict.head}</code> <${Copy} text=${verdict.head} /></dd></div></dl>
        <p class="muted">Who notes this head elsewhere can tell later that nothing was cut off: <code>callboard verify --head ${verdict.head.slice(0, 16)}…</code></p>
      </div>
    `;
  }
  const place = verdict.event ? eventPlace(verdict.event) : null;
  return html`
    <div class="integrity-verdict integrity-fails" role="alert">
      <p><strong>The log is not what was recorded.</strong> ${verdict.reason}</p>
      <p>${place && html`First at <a href=${streamHref(...place)}>${verdict.event}</a>`}
        ${!place && verdict.event && html`First at <code>${verdict.event}</code>`}
        ${verdict.position != null && ` (position ${number(verdict.position)})`}</p>
    </div>
  `;
}
