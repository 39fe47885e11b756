// What an operator may do with a stream. Each act is a command on record, with the operator's name.

import { Dialog, Failure, html, useAnswer, useState } from "../ui.js";
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
  const [act, choose] = useState(null);
  const ask = (signal) => (isOperator && isCommanded ? get(`/api/console/commands/${kind}`, {}, signal) : Promise.resolve({ commands: [] }));
  const [answer, error, again] = useAnswer(ask, [kind, isOperator]);
  if (!isCommanded) return null;
  if (!isOperator) return html`<p class="act-menu muted">To act on a stream takes the role operator.</p>`;
  const commands = answer?.commands ?? [];
  const acts = actsOf({ stream, version, kind, commands, isFork });
  const chosen = acts.find(({ id }) => id === act);
  return html`
    <div class="act-menu" role="group" aria-label="Acts of an operator">
      ${acts.map(({ id, label, isGrave }) => html`
        <button type="button" key=${id} class=${isGrave ? "danger" : ""} aria-haspopup="dialog" onClick=${() => choose(id)}>${label}</button>`)}
      ${error && html`<${Failure} title="What may be sent is not known" error=${error} retry=${again} />`}
      <${Dialog} title=${chosen?.title ?? ""} open=${chosen !== undefined} onClose=${() => choose(null)}>${chosen?.content()}<//>
    </div>
  `;
}

function actsOf({ stream, version, kind, commands, isFork }) {
  const ending = commands.find(({ name }) => ENDING.test(name));
  const isForked = FORKED.includes(kind);
  const at = version ? ` at @${version}` : "";
  return [
    commands.length > 0 && { id: "send", label: "Send a command", title: "Send a command", content: () => html`<${Send} stream=${stream} commands=${commands} />` },
    isForked && { id: "fork", label: `Fork${at}`, title: `Fork${at}`, content: () => html`<${Fork} stream=${stream} version=${version} />` },
    isForked && isFork !== false && { id: "continue", label: "Continue the fork", title: "Continue the fork", content: () => html`<${Continue} stream=${stream} />` },
    ending && { id: "end", label: `End the ${kind}`, title: `End the ${kind}?`, isGrave: true, content: () => html`<${End} stream=${stream} command=${ending} />` },
  ].filter(Boolean);
}
