"""How well a person spoke: a stated measure over their own words, computed without any model."""

from __future__ import annotations

from msgspec import Struct


class Feedback(Struct, frozen=True, gc=False):
    """Scores are 0 to 100. `vocabulary_usage` are the target words that were used, `suggestions` what to try next."""

    clarity: int
    fluency: int
    vocabulary_tier: str
    vocabulary_score: int
    vocabulary_usage: tuple[str, ...]
    suggestions: tuple[str, ...]
    overall_rating: int


def assess(text: str, target_vocabulary: tuple[str, ...] = ()) -> Feedback:
    """Placeholder signature."""
    return Feedback(100, 100, "basic", 0, (), (), 100)
