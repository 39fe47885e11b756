// What an operator may do with a stream. Each act is a command on record, with the operator's name.

import { Dialog, Failure, html, render, useAnswer, useEffect, useId, useRef } from "../ui.js";
import { get, onUnauthorized } from "../server.js";
import { category } from "../format.js";
import { routeOf } from "../route.js";
import { dropAll } from "./drafts.js";
import { End } from "./end.js";
import { Continue, Fork } from "./fork.js";
import { Send } from "./send.js";

const FORKED = ["conversation", "call"];
const COMMANDED = ["conversation", "call", "session", "channel"];
const ENDING = /^[a-z]+\.end(\/\d+)?$/;

/**
 * The acts as buttons, each with its dialog. `version` is where one is in the stream; `isFork` false leaves continuing
 * out, as there is nothing to continue; `over` is how the stream came to its end, "" while it goes on.
 */
export function ActMenu({ stream, version, roles, isFork, over = "" }) {
  const kind = category(stream);
  const why = useId();
  const isOperator = roles.includes("operator");
  const isCommanded = COMMANDED.includes(kind);
  const ask = (signal) => (isOperator && isCommanded ? get(`/api/console/commands/${kind}`, {}, signal) : Promise.resolve({ commands: [] }));
  const [answer, error, again] = useAnswer(ask, [kind, isOperator]);
  const menu = useRef(null);
  const acts = isCommanded && isOperator ? actsOf({ stream, version, kind, commands: answer?.commands ?? [], isFork, over }) : [];
  useEffect(() => takeUp(acts, menu.current), [stream, answer]);
  if (!isCommanded || !isOperator) return null;
  const isBarred = acts.some((act) => act.isBarred);
  const open = (act) => (event) => act.isBarred || show(act, event.currentTarget);
  return html`
    <div class="act-menu" role="group" aria-label="Acts of an operator" ref=${menu}>
      ${isBarred && html`<small class="muted" id=${why}>It has ${over}: nothing more can be said to it.</small>`}
      ${acts.map((act) => html`
        <button type="button" key=${act.id} data-act=${act.id} class=${act.isGrave ? "danger" : ""} aria-haspopup="dialog" aria-label=${act.label} title=${act.label}
          aria-disabled=${act.isBarred ? "true" : undefined} aria-describedby=${act.isBarred ? why : undefined} onClick=${open(act)}>${act.short}</button>`)}
      ${error && html`<${Failure} title="What may be sent is not known" error=${error} retry=${again} />`}
    </div>
  `;
}

function actsOf({ stream, version, kind, commands, isFork, over }) {
  const ending = commands.find(({ name }) => ENDING.test(name));
  const isForked = FORKED.includes(kind);
  const isBarred = over !== "";
  const at = version ? ` at @${version}` : "";
  return [
    commands.length > 0 && { id: "send", label: "Send a command", short: "Send", isBarred, content: html`<${Send} stream=${stream} commands=${commands} />` },
    isForked && { id: "fork", label: `Fork${at}`, short: `Fork${at}`, content: html`<${Fork} stream=${stream} version=${version} />` },
    isForked && isFork !== false && { id: "continue", label: "Continue the fork", short: "Continue", content: html`<${Continue} stream=${stream} />` },
    ending && { id: "end", label: `End the ${kind}`, short: "End", isGrave: true, isBarred, content: html`<${End} stream=${stream} command=${ending} />` },
  ].filter(Boolean).map((act) => ({ ...act, stream }));
}

let host = null;
/** The act whose dialog is open, and the one that was left for want of a token. */
let shown = null;
let left = null;

/**
 * A dialog beside the page: the view behind it goes on with its stream, and may drop the menu meanwhile, but neither what
 * was typed nor what came of it. Links in it lead away from it.
 */
function show(act, button, wasLeft = false) {
  host ??= document.body.appendChild(document.createElement("div"));
  const close = () => {
    hide();
    if (document.activeElement === document.body && button.isConnected) button.focus();
  };
  const leave = (event) => event.target.closest("a") && event.target.closest("dialog").close();
  shown = act;
  render(html`<${Dialog} title=${act.label} open=${true} onClose=${close}>
    ${wasLeft && html`<p class="notice" role="status">You had to sign in again. What you had typed is kept.</p>`}
    <div onClick=${leave}>${act.content}</div><//>`, host);
}

function hide() {
  shown = null;
  if (host) render(null, host);
}

/** Opens again what was left, once its stream is there. */
function takeUp(acts, menu) {
  const act = acts.find(({ stream, id }) => stream === left?.stream && id === left.id);
  if (!act || !menu) return;
  left = null;
  setTimeout(() => menu.isConnected && show(act, menu.querySelector(`[data-act="${act.id}"]`), true)); // the page is drawn first
}

// Behind a form to sign in, or over another view, a dialog has nothing to do. What was typed stays where it can be found.
onUnauthorized(() => {
  if (shown) {
    left = shown;
    hide();
  } else if (!left) dropAll(); // whoever signs in may be somebody else
});
addEventListener("hashchange", () => {
  if (shown && routeOf(location.hash).props.stream !== shown.stream) hide();
  if (left && routeOf(location.hash).props.stream !== left.stream) left = null;
});
