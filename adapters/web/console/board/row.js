// One row of the board. It is drawn again only when it is another one.

import { Component, html, Time, spelled, visible } from "../ui.js";
import { StreamName } from "./name.js";
import { compact, count, eventLabel, number, streamHref } from "../format.js";

const TONES = { error: "bad", failed: "bad", ended: "muted", closed: "muted", disconnected: "muted", idle: "muted" };
const DEEP = 16;

/** The row of a stream; `index` is its place among all. */
export class Row extends Component {
  shouldComponentUpdate({ row, index }) {
    return row !== this.props.row || index !== this.props.index;
  }

  render({ row, index }) {
    const { stream, kind, label, watchers, mailbox, effects } = row;
    return html`
      <tr role="row" aria-rowindex=${index + 2} data-stream=${stream} class=${index % 2 ? "odd" : ""}>
        <td role="cell" class="cell-stream"><a href=${streamHref(stream)} title=${spelled(stream)} aria-label=${spelled(stream)}><${StreamName} stream=${stream} /></a></td>
        <td role="cell" class="cell-kind"><span class=${`kind kind-${kindClass(kind)}`}>${kind}</span></td>
        <td role="cell" class="cell-state"><span class=${`chip ${TONES[label] ?? ""}`}>${String(label ?? "").replaceAll("_", " ") || "–"}</span></td>
        <td role="cell" class="cell-event">${lastEvent(row)}</td>
        <td role="cell" class="cell-rate number"><${Bars} counts=${row.counts} /><span>${compact(row.perMinute)}<span class="unit">/min</span></span></td>
        <td role="cell" class=${`cell-watchers number ${watchers ? "" : "zero"}`} title=${count(watchers, "watcher")}>${number(watchers)}<span class="unit"> watching</span></td>
        <td role="cell" class=${`cell-mailbox number ${mailbox >= DEEP ? "warn" : mailbox ? "" : "zero"}`} title=${`${count(mailbox, "letter")} waiting`}>
          ${number(mailbox)}<span class="unit"> waiting</span></td>
        <td role="cell" class="cell-effects number" title=${`${count(effects, "effect")} running`}>${number(effects)}</td>
      </tr>`;
  }
}

const KINDS = new Set(["conversation", "call", "session", "channel"]);
const kindClass = (kind) => (KINDS.has(kind) ? kind : "other");

function lastEvent({ time, event, says, rejected, version }) {
  if (!event) return html`<span class="muted">nothing lately</span>`;
  return html`
    <${Time} at=${time} /> <span class=${rejected ? "bad" : "board-event"} title=${`${event}, event ${version}`}>${rejected ? "rejected: " : ""}${eventLabel(event)}</span>
    ${says && html` <span class="muted">${visible(says)}</span>`}`;
}

/** The events of the last minute in twelve bars; the number beside them says it in words. */
function Bars({ counts }) {
  const most = Math.max(4, ...counts);
  const path = counts.map((amount, index) => (amount ? `M${index * 4} 14v-${Math.max(1.5, (amount / most) * 14).toFixed(1)}h3V14z` : "")).join("");
  return html`<svg class="bars" width="47" height="14" viewBox="0 0 47 14" aria-hidden="true"><path d="M0 13.5h47v.5H0z" class="bars-floor" /><path d=${path} /></svg>`;
}
