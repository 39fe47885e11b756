"""What a message is about, and how to say it back: noun phrases and clauses found by their small words."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")


def words_of(text: str) -> list[str]:
    """The words of a text, without what stands around them."""
    return _WORD.findall(text)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_DETERMINERS = {
    "my": "your", "our": "your", "the": "the", "a": "the", "an": "the", "his": "his", "her": "her", "their": "their",
    "this": "this", "these": "these",
}  # fmt: skip
_OPENERS = _words(
    "about with in at on from of for like likes love loves enjoy enjoyed hate play plays played playing study studying"
    " learn learning cooking cook read reading watch watched watching visit visited miss had eat ate speak practice"
    " practise discuss"
)
_STRONG_OPENERS = _OPENERS - _words("with in at on from of for had")
_NO_SUBJECT = _words(
    "i i'm i've i'd i'll you me we us he she it they them him myself yourself my our your his her their its this that"
    " these those the a an and or but so because if when while than then there here what who where why how which to of"
    " in on at by for from with about into over after before during as is am are was were be been being do does did"
    " done don't didn't doesn't not no yes have has had having can can't could would should will won't shall may might"
    " must very really quite too also just only still yet even much many more most some any all both each every few lot"
    " lots bit kind sort way thing things something anything nothing everything someone everyone time times day days"
    " week weeks month months year years today yesterday tomorrow tonight morning afternoon evening night monday"
    " tuesday wednesday thursday friday saturday sunday last next ago always never often sometimes usually again now"
    " later soon go goes going gone went get gets got getting make makes made take takes took taking come came give"
    " gave say says said tell told think thought know knew see saw seen want wanted wants need needed like likes liked"
    " love loved loves enjoy enjoyed hate feel feels felt feeling find found keep kept let try tried trying start"
    " started begin began ate eat met meet bought buy lost won ran run left leave wrote write read broke moved help"
    " talk talking speak name please good great nice bad well happy sad tired one two three first because maybe let's"
)


def subject_of(text: str) -> str | None:
    """What the message is most likely about, as a phrase to say back; None when nothing stands out."""
    words = words_of(text)
    found = [phrase for at in range(len(words)) if (phrase := _phrase_at(words, at)) is not None]
    if found:
        return max(found, key=lambda phrase: phrase[0])[1]
    content = [word for word in words if len(word) > 4 and word.lower() not in _NO_SUBJECT and not word.endswith("ed")]
    return max(content, key=len) if content else None


def _phrase_at(words: list[str], at: int) -> tuple[int, str] | None:
    """The noun phrase the word at `at` opens, with its weight; None when it opens none."""
    opener = words[at].lower()
    if opener not in _DETERMINERS and opener not in _OPENERS:
        return None
    nouns = _nouns_from(words, at + 1)
    if not nouns:
        return None
    if opener in _DETERMINERS:
        return (3 if opener in ("my", "our") else 2), " ".join((_DETERMINERS[opener], *nouns))
    return (4 if opener in _STRONG_OPENERS else 1), " ".join(nouns)


def _nouns_from(words: list[str], start: int) -> list[str]:
    nouns: list[str] = []
    for at, word in enumerate(words[start : start + 3], start):
        if word.lower() in _NO_SUBJECT or (nouns and _looks_like_a_verb(words, at)):
            break
        nouns.append(word)
    return nouns


def _looks_like_a_verb(words: list[str], at: int) -> bool:
    if words[at].endswith(("ed", "ly", "ing")):
        return True
    following = words[at + 1].lower() if at + 1 < len(words) else ""
    return words[at].endswith("s") and (following in _DETERMINERS or following in ("to", "me", "you", "it"))


_TURNED = {
    "i": "you", "me": "you", "we": "you", "us": "you", "my": "your", "our": "your", "mine": "yours", "ours": "yours",
    "myself": "yourself", "ourselves": "yourselves", "am": "are", "i'm": "you're", "i've": "you've", "i'd": "you'd",
    "i'll": "you'll", "we're": "you're", "we've": "you've", "we'd": "you'd", "we'll": "you'll",
}  # fmt: skip
_CLAUSE_STARTS = _words("i i'm i've i'd we we've we're my our")
_MAX_GIST = 14
"""Words; longer clauses are not said back, nobody talks like that."""


def gist_of(text: str) -> str | None:
    """The first clause the speaker says of themselves, turned to "you"; None when there is none to say back."""
    for clause in re.split(r"[.!?;,]+|\bbut\b|\bbecause\b|\band (?=i\b|we\b)", text, flags=re.IGNORECASE):
        words = [word.strip("\"'()*_") for word in clause.split()]
        lowered = [word.lower() for word in words]
        if 3 <= len(words) <= _MAX_GIST and lowered[0] in _CLAUSE_STARTS and not {"you", "your"} & set(lowered):
            return " ".join(_turn(words, lowered, at) for at in range(len(words)))
    return None


def _turn(words: list[str], lowered: list[str], at: int) -> str:
    if lowered[at] == "was" and at > 0 and lowered[at - 1] == "i":
        return "were"
    return _TURNED.get(lowered[at], words[at])
