"""How well a person spoke: a stated measure over their own words, computed without any model.

The measure, all scores whole numbers from 0 to 100, rounded down:

Words are runs of letters, digits and combining marks, apostrophes inside included, compared without regard to case.
In scripts written without spaces (Chinese, Japanese, Thai, Lao, Khmer, Burmese) every character counts as a word
of four letters, and two alike are no repetition. Emoji, punctuation and symbols are no words. A text without words
scores 0 throughout.

clarity     100, less 2 for each word the mean sentence has above 20 (at most 40), less 15 when it has under 3,
            less 10 when the last sentence has no end mark, less the fillers' share in percent (at most 35).
fluency     100, less 1.5 times the fillers' share in percent (at most 40), less 1.5 times the share of words said
            twice in a row (at most 30), less 3 times the share of false starts, i.e. words broken off by a dash and
            dots of hesitation before a word (at most 30), less 5 for each word a text has under 5.
vocabulary  up to 60 for the mean length of the distinct words (15 a letter above 3), up to 40 for variety (6 times
            Guiraud's index: distinct words over the square root of all words). With target words, that makes 80 %
            of the score and the share of them that was used the other 20 %.
tier        below 40 basic, below 70 intermediate, else advanced.
overall     35 % clarity, 35 % fluency, 30 % vocabulary.

Fillers are English ones. Linear in the length of the text. A change here changes what `decide` says of messages in
the log, which `callboard check` will report: change it as one changes a schema.
"""

from __future__ import annotations

import re
import unicodedata
from math import sqrt

from msgspec import Struct

MAX_TARGETS = 100
"""Target words looked for; what a list has beyond that is ignored."""
MAX_SUGGESTIONS = 3
MAX_COMPOSED = 64
"""Characters up to which a word is brought into one form, so that "é" is "é" however it was typed."""

FILLERS = frozenset({"um", "umm", "uh", "uhm", "erm", "hmm", "mhm", "ah", "eh", "basically", "literally"})
FILLER_PAIRS = frozenset({("you", "know"), ("i", "mean"), ("sort", "of"), ("kind", "of")})

_MARKS = (
    r"\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u0900-\u0963\u0966-\u0dff"
)
_UNSPACED = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
    r"\U00020000-\U0003ffff"
)
_WORD = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])(?:[^\W_]|[{_MARKS}]|(?<=\w)'(?=[^\W\d_])))+")
_END_MARKS = ".!?\u2026\u3002\uff01\uff1f\u0964\u061f\u06d4"
_SENTENCE_END = re.compile(rf"[{_END_MARKS}]+(?=\W|$)|[\u3002\uff01\uff1f]+")
_CLOSING = "\"')]}\u00bb\u2019\u201d\u300d\u300f "
_FALSE_START = re.compile(r"\w(?:-|--|\u2014|\u2013)(?=\s|$)|(?:\u2026|\.{2,4}) ?(?=\w)")
_FIRST_UNSPACED = "\u0e00"


class Feedback(Struct, frozen=True, gc=False):
    """Scores are 0 to 100. `vocabulary_usage` are the target words that were used, `suggestions` what to try next."""

    clarity: int
    fluency: int
    vocabulary_tier: str
    vocabulary_score: int
    vocabulary_usage: tuple[str, ...]
    suggestions: tuple[str, ...]
    overall_rating: int


class Traits(Struct, frozen=True, gc=False):
    """What is counted in a text. `fillers`, `repeated` and `false_starts` are shares of its words."""

    words: int
    sentence_length: float
    finished: bool
    fillers: float
    repeated: float
    false_starts: float
    word_length: float
    variety: float


def assess(text: str, target_vocabulary: tuple[str, ...] = ()) -> Feedback:
    """The measure stated above. `vocabulary_usage` spells the words as the target list does."""
    text = _plain(text)
    words = _words(text)
    targets = dict.fromkeys(target_vocabulary[:MAX_TARGETS])
    used = _used(words, targets) if targets else ()
    if not words:
        return Feedback(0, 0, "basic", 0, (), ("Say something in words.",), 0)
    traits = _traits(text, words)
    clarity, fluency = _clarity(traits), _fluency(traits)
    vocabulary = _vocabulary(traits, len(used) / len(targets) if targets else None)
    tier = "basic" if vocabulary < 40 else "intermediate" if vocabulary < 70 else "advanced"
    overall = (35 * clarity + 35 * fluency + 30 * vocabulary) // 100
    unused = [word for word in targets if word not in used]
    return Feedback(clarity, fluency, tier, vocabulary, used, _suggestions(traits, vocabulary, unused), overall)


def _plain(text: str) -> str:
    return text.casefold().replace("\u2019", "'")


def _words(text: str) -> list[str]:
    """The words of a plain text, composed (NFC). Over-long ones stay as they are: composing is quadratic in marks."""
    words = _WORD.findall(text)
    if text.isascii():
        return words
    return [unicodedata.normalize("NFC", word) if len(word) <= MAX_COMPOSED else word for word in words]


def _stands_alone(word: str) -> bool:
    """A character of a script without spaces, which counts as a word."""
    return len(word) == 1 and word >= _FIRST_UNSPACED


def _traits(text: str, words: list[str]) -> Traits:
    count, distinct = len(words), set(words)
    fillers, repeated, before = 0, 0, ""
    for word in words:
        if word in FILLERS or (before, word) in FILLER_PAIRS:
            fillers += 1
        elif word == before and not _stands_alone(word):
            repeated += 1
        before = word
    finished = text.rstrip(_CLOSING + "\n\t\r").endswith(tuple(_END_MARKS))
    sentences = max(1, len(_SENTENCE_END.findall(text)) + (0 if finished else 1))
    letters = sum(4 if _stands_alone(word) else len(word) for word in distinct)
    return Traits(
        words=count,
        sentence_length=count / sentences,
        finished=finished,
        fillers=fillers / count,
        repeated=repeated / count,
        false_starts=len(_FALSE_START.findall(text)) / count,
        word_length=letters / len(distinct),
        variety=len(distinct) / sqrt(count),
    )


def _clarity(traits: Traits) -> int:
    long_winded = min(40.0, 2 * max(0.0, traits.sentence_length - 20))
    clipped = 15 if traits.sentence_length < 3 else 0
    unfinished = 0 if traits.finished else 10
    return int(100 - long_winded - clipped - unfinished - min(35.0, 100 * traits.fillers))


def _fluency(traits: Traits) -> int:
    fillers = min(40.0, 150 * traits.fillers)
    repeated = min(30.0, 150 * traits.repeated)
    broken_off = min(30.0, 300 * traits.false_starts)
    return max(0, int(100 - fillers - repeated - broken_off - 5 * max(0, 5 - traits.words)))


def _vocabulary(traits: Traits, targets_used: float | None) -> int:
    length = min(60.0, 15 * max(0.0, traits.word_length - 3))
    score = length + min(40.0, 6 * traits.variety)
    return int(score if targets_used is None else 0.8 * score + 20 * targets_used)


def _used(words: list[str], targets: dict[str, None]) -> tuple[str, ...]:
    """The targets, of one word or several, that stand in the text as whole words."""
    spoken, alone = f" {' '.join(words)} ", set(words)
    used = []
    for target in targets:
        sought = _words(_plain(target))
        if sought[0] in alone if len(sought) == 1 else sought and f" {' '.join(sought)} " in spoken:
            used.append(target)
    return tuple(used)


def _suggestions(traits: Traits, vocabulary: int, unused: list[str]) -> tuple[str, ...]:
    advice = (
        (bool(unused), f"Try to use: {', '.join(unused[:3])}."),
        (traits.fillers > 0.05, "Try a short pause in place of filler words."),
        (traits.repeated > 0.05, "Say each word once; a pause is better than a repetition."),
        (traits.false_starts > 0.05, "Finish the sentence you began before you start another."),
        (traits.sentence_length > 20, "Split long sentences into two or three."),
        (traits.words < 5, "Say a little more: a whole sentence, and a reason for it."),
        (not traits.finished, "Bring your last sentence to an end."),
        (vocabulary < 40, "Try some longer, more exact words."),
    )
    return tuple(text for applies, text in advice if applies)[:MAX_SUGGESTIONS]
