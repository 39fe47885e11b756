// The audit: questions to the whole log, with answers in pages and as files.

import { html, useEffect, useMemo, useRef, useState } from "../ui.js";
import { go } from "../audit/address.js";
import { ExportPanel } from "../audit/export.js";
import { faultsOf, filtersOf, searchLink } from "../audit/filters.js";
import { Presets, SearchForm } from "../audit/form.js";
import { comeBack, leave } from "../audit/place.js";
import { Count, Results } from "../audit/results.js";
import { useCount, useSearch } from "../audit/search.js";

const NO_FAULTS = { fields: {}, rest: [] };

/** `#/audit`: a form, and with a question in the address what it finds. */
export function AuditView({ filters: fields }) {
  const filters = filtersOf(Object.fromEntries(fields));
  const address = searchLink(filters);
  const asked = address === "#/audit" ? null : filters;
  const [again, setAgain] = useState(0);
  const key = `${address} ${again}`;
  const was = useMemo(() => comeBack(address), [address]);
  const found = useSearch(asked, key, again === 0 && was ? was.cursors : [null]);
  const latest = useRef(found);
  latest.current = found;
  useEffect(() => () => leave(address, { top: scrollY, cursors: latest.current.cursors }), [address]);
  const counted = useCount(asked, key);
  const search = (wanted) => {
    // A question without any condition is one all the same: all there is, the newest first.
    const target = searchLink(Object.keys(wanted).length ? wanted : { newest_first: "true" });
    if (!go(target)) setAgain(again + 1);
  };
  const faults = found.error?.status === 422 ? faultsOf(found.error) : NO_FAULTS;
  const isUnasked = found.error?.status === 422 && faults.rest.length === 0;
  return html`
    <section class="audit-view" aria-labelledby="audit-title">
      <h1 id="audit-title">Audit</h1>
      <${Presets} current=${address} />
      <${SearchForm} filters=${filters} faults=${faults.fields} busy=${asked !== null && found.busy} onSearch=${search} />
      ${asked === null && html`<${Unasked} />`}
      ${asked !== null && isUnasked && html`<p class="audit-note" role="status">The question cannot be asked like this: see above.</p>`}
      ${asked !== null && !isUnasked && html`
        <h2 class="hidden">Found</h2>
        <div class="audit-summary" role="status"><${Count} counted=${counted} /></div>
        <${ExportPanel} filters=${filters} key=${address} />
        <${Results} found=${found} text=${filters.text} from=${was?.top} />
      `}
    </section>
  `;
}

function Unasked() {
  return html`
    <p class="audit-note">
      Ask the whole log: all conditions you give must hold. Whoever is told something is on record first, so each search,
      count and export stands in the log too, with your name.
    </p>
  `;
}
