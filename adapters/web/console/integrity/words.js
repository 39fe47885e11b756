// What a checkpoint says. It is a signed note: lines, an empty one, and signatures where there are any.

/** {log, size, root, head, time (µs), isSigned}; null where the text is none. */
export function checkpointOf(text) {
  const [body, signatures = ""] = text.split("\n\n");
  const [log, size, root, head, time] = body.split("\n");
  if (!head?.startsWith("head ") || !time?.startsWith("time ")) return null;
  return { log, size: Number(size), root, head: head.slice(5), time: Number(time.slice(5)), isSigned: signatures.trim() !== "" };
}
