// A command's JSON Schema as fields of a form, and what was typed into them as its body.

const NUMBERS = ["integer", "number"];

/** The fields of an object's schema: [{name, kind, isRequired, choices, ...}]; kind "json" is what a form cannot ask. */
export function fieldsOf(schema) {
  const whole = resolved(schema, schema);
  const required = new Set(whole.required ?? []);
  return Object.entries(whole.properties ?? {}).map(([name, given]) => {
    const { kind, choices, part } = kindOf(given, schema);
    // What a reference leads to describes a type, for programmers; only the field's own words are for people.
    const told = { ...part, description: undefined, ...given };
    return {
      name, kind, choices, isRequired: required.has(name), initial: told.default,
      hint: told.description ?? "", most: told.maxLength, least: told.minimum, greatest: told.maximum,
    };
  });
}

/** A reference followed to what it means. */
function resolved(part, whole) {
  const path = part.$ref?.match(/^#\/(.+)$/)?.[1];
  if (!path) return part;
  const found = path.split("/").reduce((at, step) => at?.[step], whole);
  return found ? resolved(found, whole) : {};
}

function kindOf(given, whole) {
  let part = resolved(given, whole);
  const options = (part.anyOf ?? part.oneOf)?.map((option) => resolved(option, whole)).filter((option) => option.type !== "null");
  if (options?.length === 1) [part] = options;
  const types = [part.type].flat().filter((type) => type !== "null");
  if (part.enum) return { kind: "choice", choices: part.enum.filter((value) => value !== null), part };
  if (types.length !== 1) return { kind: "json", part };
  const [type] = types;
  if (type === "boolean") return { kind: "boolean", part };
  if (NUMBERS.includes(type)) return { kind: type, part };
  return { kind: type === "string" ? "text" : "json", part };
}

/** {body, faults}: what the texts of the fields say; what is left empty is left out, unless it must be there. */
export function bodyOf(fields, texts) {
  const body = {};
  const faults = {};
  for (const field of fields) {
    const text = texts[field.name] ?? "";
    if (text === "" && !(field.isRequired && field.kind === "text")) {
      if (field.isRequired) faults[field.name] = "This must be given";
      continue;
    }
    const value = valueOf(field, text);
    if (value === undefined) faults[field.name] = field.kind === "json" ? "This is no JSON" : `This is no ${field.kind}`;
    else body[field.name] = value;
  }
  return { body, faults };
}

function valueOf({ kind, choices }, text) {
  if (kind === "text") return text;
  if (kind === "choice") return choices.find((choice) => String(choice) === text);
  if (kind === "boolean") return text === "true";
  if (kind !== "json") return numberOf(kind, text);
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function numberOf(kind, text) {
  const value = Number(text);
  return text.trim() && Number.isFinite(value) && (kind === "number" || Number.isInteger(value)) ? value : undefined;
}
