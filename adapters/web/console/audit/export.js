// All that meets a question as one file, with the manifest that says what it is.

import { html, useEffect, useRef, useState } from "../ui.js";
import { bytes, count, number } from "../format.js";
import { fetchExport, manifestOf, saveAs, sha256Of } from "./fetching.js";
import { faultsOf, question } from "./filters.js";

const FORMATS = [["jsonl", "JSON Lines"], ["csv", "CSV"], ["parquet", "Parquet"]];

/** Choose a format, see it come, and keep file and manifest. */
export function ExportPanel({ filters }) {
  const [wanted, setWanted] = useState({ format: "jsonl", compress: false });
  const { state, start, cancel } = useExport(filters, wanted);
  const submit = (event) => {
    event.preventDefault();
    start();
  };
  const choose = (event) => setWanted({ ...wanted, format: event.currentTarget.value });
  const compress = (event) => setWanted({ ...wanted, compress: event.currentTarget.checked });
  return html`
    <details class="audit-export">
      <summary>Export all of it as a file</summary>
      <form onSubmit=${submit}>
        <label>Format
          <select name="format" value=${wanted.format} onChange=${choose}>
            ${FORMATS.map(([value, label]) => html`<option key=${value} value=${value}>${label}</option>`)}
          </select>
        </label>
        <label class="audit-check"><input type="checkbox" name="compress" checked=${wanted.compress} onChange=${compress} />
          ${wanted.format === "parquet" ? "Compressed within" : "Compressed (gzip)"}</label>
        ${state.busy
          ? html`<button type="button" onClick=${cancel}>Cancel</button>`
          : html`<button type="submit">Export</button>`}
      </form>
      <div role="status" class="audit-progress">${state.busy && html`
        <progress aria-label="Export under way"></progress> ${bytes(state.received)} so far`}
        ${state.told && html`<${Told} ...${state.told} />`}
      </div>
      ${state.error && html`<p class="audit-fault" role="alert">${explained(state.error)}</p>`}
    </details>
  `;
}

/** An export under way, or what became of it: {busy, received, told, error}. */
function useExport(filters, wanted) {
  const [state, setState] = useState({ busy: false });
  const running = useRef(null);
  useEffect(() => () => running.current?.abort(), []);
  const start = async () => {
    const { signal } = (running.current = new AbortController());
    setState({ busy: true, received: 0 });
    try {
      const onBytes = (received) => setState({ busy: true, received });
      const file = await fetchExport({ ...question(filters), ...wanted }, onBytes, signal);
      saveAs(file.name, file.blob);
      const manifest = await manifestOf(file);
      setState({ busy: false, told: { file, manifest, digest: await sha256Of(file.blob) } });
    } catch (error) {
      setState({ busy: false, error: signal.aborted ? null : error });
    }
  };
  return { state, start, cancel: () => running.current?.abort() };
}

function explained(error) {
  if (error.status === 429) return "Others are exporting now: try again in ten seconds.";
  if (error.status === 422) {
    const { fields, rest } = faultsOf(error);
    return [...Object.entries(fields).map(([name, told]) => `${name}: ${told}`), ...rest].join("; ");
  }
  return error.message;
}

function Told({ file, manifest, digest }) {
  const { entries, head, file: written } = manifest;
  const isSame = digest === null ? null : digest === written.sha256;
  return html`
    <p><strong>${file.name}</strong>: ${count(entries.count, "event")}, ${bytes(file.blob.size)}. The log ended at
      ${" "}${number(head.position)}.</p>
    <dl class="audit-facts">
      <div><dt>SHA-256 of the file</dt><dd><code>${written.sha256}</code></dd></div>
      <div><dt>Of what is in it</dt><dd><code>${entries.sha256}</code></dd></div>
      <div><dt>Chain hash at the log's end</dt><dd><code>${head.hash}</code></dd></div>
    </dl>
    ${isSame === true && html`<p class="audit-good">This browser computed the file's digest: it is the one of the manifest.</p>`}
    ${isSame === false && html`<p class="audit-fault">What came here has the digest ${digest}: it is not the file the manifest is of. Export again.</p>`}
    <p class="audit-actions">
      <button type="button" onClick=${() => saveAs(`${file.name}.manifest.json`, file.manifest)}>Save the manifest</button>
      <button type="button" onClick=${() => saveAs(file.name, file.blob)}>Save the file again</button>
    </p>
    <p class="audit-note">With both in one folder: <code>callboard audit export --verify ${file.name}</code></p>
  `;
}
