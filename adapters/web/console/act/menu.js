// What an operator may do with a stream. Each act is a command on record, with the operator's name.

import { Dialog, Failure, html, render, useAnswer } from "../ui.js";
import { get } from "../server.js";
import { category } from "../format.js";
import { End } from "./end.js";
import { Continue, Fork } from "./fork.js";
import { Send } from "./send.js";

const FORKED = ["conversation", "call"];
const COMMANDED = ["conversation", "call", "session", "channel"];
const ENDING = /^[a-z]+\.end(\/\d+)?$/;

/**
 * The acts as buttons, each with its dialog. `version` is where one is in the stream; `isFork` false leaves continuing
 * out, as there is nothing to continue.
 */
export function ActMenu({ stream, version, roles, isFork }) {
  const kind = category(stream);
  const isOperator = roles.includes("operator");
  const isCommanded = COMMANDED.includes(kind);
  const ask = (signal) => (isOperator && isCommanded ? get(`/api/console/commands/${kind}`, {}, signal) : Promise.resolve({ commands: [] }));
  const [answer, error, again] = useAnswer(ask, [kind, isOperator]);
  if (!isCommanded || !isOperator) return null;
  const commands = answer?.commands ?? [];
  return html`
    <div class="act-menu" role="group" aria-label="Acts of an operator">
      ${actsOf({ stream, version, kind, commands, isFork }).map((act) => html`
        <button type="button" key=${act.label} class=${act.isGrave ? "danger" : ""} aria-haspopup="dialog" aria-label=${act.label} title=${act.label}
          onClick=${(event) => show(act, event.currentTarget)}>${act.short}</button>`)}
      ${error && html`<${Failure} title="What may be sent is not known" error=${error} retry=${again} />`}
    </div>
  `;
}

function actsOf({ stream, version, kind, commands, isFork }) {
  const ending = commands.find(({ name }) => ENDING.test(name));
  const isForked = FORKED.includes(kind);
  const at = version ? ` at @${version}` : "";
  return [
    commands.length > 0 && { label: "Send a command", short: "Send", content: html`<${Send} stream=${stream} commands=${commands} />` },
    isForked && { label: `Fork${at}`, short: `Fork${at}`, content: html`<${Fork} stream=${stream} version=${version} />` },
    isForked && isFork !== false && { label: "Continue the fork", short: "Continue", content: html`<${Continue} stream=${stream} />` },
    ending && { label: `End the ${kind}`, short: "End", isGrave: true, content: html`<${End} stream=${stream} command=${ending} />` },
  ].filter(Boolean);
}

let host = null;

/**
 * A dialog beside the page: the view behind it goes on with its stream, and may drop the menu meanwhile, but neither what
 * was typed nor what came of it. Links in it lead away from it.
 */
function show(act, button) {
  host ??= document.body.appendChild(document.createElement("div"));
  const close = () => {
    render(null, host);
    if (document.activeElement === document.body && button.isConnected) button.focus();
  };
  const leave = (event) => event.target.closest("a") && event.target.closest("dialog").close();
  render(html`<${Dialog} title=${act.label} open=${true} onClose=${close}><div onClick=${leave}>${act.content}</div><//>`, host);
}
