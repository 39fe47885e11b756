"""What the `openai` package raises, in our words. Reasons are kept in the log, so the API key is never repeated."""

from __future__ import annotations

import math
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from core.ports import ModelFailure

if TYPE_CHECKING:
    from collections.abc import Mapping

    import openai

MAX_QUOTED = 200
"""Characters of a server's own message that are passed on."""


class PassingFailure(ModelFailure):
    """A failure that may be gone at the next try: overload, an error of the server's, a lost connection."""


def failure_of(
    error: openai.OpenAIError, model: str, api_key: str, *, what: str = "the language model"
) -> ModelFailure:
    """The failure that `error` is, met while `model` was asked; the reason calls the other side `what`."""
    import openai

    match error:
        case openai.APIStatusError():
            return _refusal(error, model, api_key, what)
        case openai.APIConnectionError():
            return PassingFailure(f"{what} cannot be reached: {error.__cause__ or error}")
        case _:
            return ModelFailure(f"{what} cannot be asked: {type(error).__name__}")


def _refusal(error: openai.APIStatusError, model: str, api_key: str, what: str) -> ModelFailure:
    retry_after = retry_after_of(error.response.headers, time.time())
    match error.status_code:
        case 401 | 403 as status:
            return ModelFailure(f"{what} refused the API key ({status})")
        case 404:
            return ModelFailure(f"{what} {model!r} does not exist there (404)")
        case 429 if error.code == "insufficient_quota":
            return ModelFailure(f"{what}'s quota is used up (429)", retry_after)
        case 429:
            return PassingFailure(f"{what} is asked too often (429)", retry_after)
        case status if status >= 500:
            return PassingFailure(f"{what}'s server failed ({status})", retry_after)
        case status:
            said = error.message.replace(api_key, "…") if api_key else error.message
            return ModelFailure(f"{what} refused the request ({status}): {said[:MAX_QUOTED]}", retry_after)


def retry_after_of(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds the server asks us to wait (RFC 9110, or the finer `retry-after-ms`), None when it does not say.

    `now` is seconds UTC since the epoch: Retry-After may be a date.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if 0 <= seconds < math.inf:
            return seconds
    try:
        return max(0.0, parsedate_to_datetime(headers.get("retry-after", "")).timestamp() - now)
    except (ValueError, OverflowError):
        return None
