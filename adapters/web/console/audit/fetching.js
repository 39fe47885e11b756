// An export as it comes: counted, cut-offs noticed, and the manifest that its answer leads to.

import { request, ServerError } from "../server.js";

const MOST_DIGESTED = 256 * 1024 * 1024; // bytes: a digest needs all of them in memory at once

/** The file: {name, blob, link}. `onBytes` hears how much of it is there. Rejects with ServerError, also when cut off. */
export async function fetchExport(query, onBytes, signal) {
  const response = await request("/api/audit/export", { query, signal });
  const blob = await collected(response, onBytes);
  const name = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "")?.[1];
  return { name: name ?? `callboard.${query.format}`, blob, link: response.headers.get("Link") ?? "" };
}

/** The manifest that an export's answer leads to; its own bytes stay with the file as `file.manifest`. */
export async function manifestOf(file) {
  const path = /<([^>]+)>;\s*rel="describedby"/.exec(file.link)?.[1];
  if (!path) throw new ServerError(0, "The server did not say where the manifest is");
  file.manifest = await (await request(path, {})).blob();
  return JSON.parse(await file.manifest.text());
}

async function collected(response, onBytes) {
  const reader = response.body.getReader();
  const parts = [];
  for (let received = 0; ; onBytes(received)) {
    const { done, value } = await reader.read().catch((fault) => {
      if (fault.name === "AbortError") throw fault;
      throw new ServerError(0, "The file was cut off, and nothing of it was kept: export again");
    });
    if (done) return new Blob(parts, { type: "application/octet-stream" });
    received += value.length;
    parts.push(value);
  }
}

/** Hand a file to the browser's downloads. */
export function saveAs(name, blob) {
  const anchor = document.createElement("a");
  anchor.href = URL.createObjectURL(blob);
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(anchor.href), 60_000); // the browser reads it after the click
}

/** SHA-256 in hexadecimal; null where this page may not compute it (plain HTTP elsewhere) or the file is very large. */
export async function sha256Of(blob) {
  if (!globalThis.crypto?.subtle || blob.size > MOST_DIGESTED) return null;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer()));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
