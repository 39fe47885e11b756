"""An export that a server makes, fetched into a file with its manifest beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import msgspec
from msgspec.structs import replace

from adapters.exports.files import Gradual, appearing, refuse_present
from adapters.exports.formats import NotExported
from adapters.exports.manifest import Manifest, as_json, decoded, manifest_file

PATH = "/api/audit/export"
PATIENCE = 600.0
"""Seconds without a byte: where little meets the question, a server looks long for the next that does."""
MANIFEST = "describedby"
"""What an answer's Link to its manifest is called (RFC 8288)."""


async def fetch(
    http: httpx.AsyncClient, file: Path, query: Mapping[str, Any], advanced: Callable[[int], None]
) -> Manifest:
    """Write the file and its manifest; `advanced` hears how many bytes have come. Raises NotExported, OSError."""
    refuse_present(file)
    try:
        with appearing(file, manifest_file(file)) as (out, manifest_out):
            manifest = replace_name(await _fetch(http, query, out, advanced), file.name)
            manifest_out.write(as_json(manifest))
    except httpx.HTTPError as fault:
        reason = str(fault) or type(fault).__name__
        raise NotExported(f"{http.base_url} did not send all of it ({reason}); ask again") from None
    return manifest


def replace_name(manifest: Manifest, name: str) -> Manifest:
    """The same of a file that has another name."""
    return replace(manifest, file=replace(manifest.file, name=name))


async def _fetch(
    http: httpx.AsyncClient, query: Mapping[str, Any], out: Gradual, advanced: Callable[[int], None]
) -> Manifest:
    digest, size = sha256(), 0
    async with http.stream("GET", PATH, params=dict(query), timeout=PATIENCE) as answer:
        await _refuse_problem(answer)
        async for piece in answer.aiter_raw():
            out.write(piece)
            digest.update(piece)
            advanced(size := size + len(piece))
        told = await http.get(answer.links[MANIFEST]["url"])
    await _refuse_problem(told)
    manifest = decoded(told.content, f"what {http.base_url} sent")
    if digest.hexdigest() != manifest.file.sha256:
        raise NotExported(f"what {http.base_url} sent is not what it says it exported; ask again")
    return manifest


async def _refuse_problem(answer: httpx.Response) -> None:
    """Raises NotExported in the server's words."""
    if answer.status_code == httpx.codes.OK:
        return
    try:
        detail = msgspec.json.decode(await answer.aread())["detail"]
    except (msgspec.DecodeError, KeyError, TypeError):
        raise NotExported(f"{answer.url} answers {answer.status_code}; is that a Callboard?") from None
    if answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        raise NotExported(f"the server does not tell us ({detail}); write an auditor's --token")
    said = "; ".join(f"{fault['loc'][-1]}: {fault['msg']}" for fault in detail) if isinstance(detail, list) else detail
    raise NotExported(f"the server does not tell us: {said}")
