"""What the offline partner makes of a message: its intent, its subject, its gist. Pure text work, English first."""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from functools import lru_cache

from msgspec import Struct

from adapters.gateways.subjects import gist_of, subject_of, words_of
from adapters.gateways.tongues import tongue_of

MAX_HEARD = 1000
"""Characters of a message that are listened to."""


class Intent(StrEnum):
    WORDLESS = "wordless"
    FOREIGN = "foreign"
    GREETING = "greeting"
    INTRODUCTION = "introduction"
    FAREWELL = "farewell"
    THANKS = "thanks"
    YES = "yes"
    NO = "no"
    UNSURE = "unsure"
    HOW_ARE_YOU = "how_are_you"
    WHO_ARE_YOU = "who_are_you"
    YOUR_TASTE = "your_taste"
    MEMORY = "memory"
    ADVICE = "advice"
    QUESTION = "question"
    ENTERTAIN = "entertain"
    PROPOSAL = "proposal"
    GLAD = "glad"
    SORRY = "sorry"
    STATEMENT = "statement"


class Heard(Struct, frozen=True, gc=False):
    """One message understood. `subject` and `gist` speak to the speaker: "your sister", "you went to the sea".

    `tongue` is a language code for a message that is not English, "" for one we cannot name.
    """

    text: str
    intent: Intent
    subject: str | None = None
    gist: str | None = None
    name: str | None = None
    tongue: str = ""


def hear(text: str) -> Heard:
    """Understand one message, as far as that goes without a language model. Never raises."""
    return _hear(unicodedata.normalize("NFC", text[: 2 * MAX_HEARD]).replace("’", "'").strip()[:MAX_HEARD])


@lru_cache(maxsize=512)  # a conversation's earlier messages are heard again with each of its prompts
def _hear(text: str) -> Heard:
    if not any(char.isalnum() for char in text):
        return Heard(text, Intent.WORDLESS)
    if (foreign := tongue_of(text)) is not None:
        return Heard(text, Intent.FOREIGN, tongue=foreign)
    content = _GREETING.sub("", text)
    if not words_of(content):
        return Heard(text, Intent.GREETING)
    introduced = _NAME.search(content)
    name = introduced[1] if introduced else None
    intent = intent_of(content, name)
    subject = None if intent in _WITHOUT_SUBJECT else subject_of(content)
    return Heard(text, intent, subject, gist_of(content), name)


_WITHOUT_SUBJECT = frozenset(
    {
        Intent.FAREWELL, Intent.THANKS, Intent.YES, Intent.NO, Intent.UNSURE, Intent.HOW_ARE_YOU, Intent.WHO_ARE_YOU,
        Intent.MEMORY, Intent.ENTERTAIN,
    }
)  # fmt: skip
"""What these mention is not what the talk is about."""


# --- intent -----------------------------------------------------------------------------------------------------

_GREETING = re.compile(
    r"^\s*(?:hi|hello|hey|howdy|greetings|good (?:morning|afternoon|evening|day))\b"
    r"(?:\s+(?:there|again|partner|everyone|all|friend))*[\s,.!:]*",
    re.IGNORECASE,
)
_NAME = re.compile(r"\b(?:[Mm]y name(?: is|'s)|[Cc]all me|(?:I'm|I am)(?=\s+[A-Z]\w+\s*(?:[.,!]|$|and)))\s+([A-Z]\w+)")
_SHORT = r"\b(?:\W+\w+){0,2}\W*$"
_PHRASES: dict[Intent, tuple[str, ...]] = {
    Intent.FAREWELL: (
        r"\b(?:good)?bye\b|\bgood night\b|\bsee you\b|\btalk to you later\b",
        r"\b(?:have|got) to go(?: now)?\W*$|\bgotta go\b",
    ),
    Intent.THANKS: (r"^\W*(?:(?:ok|okay|great|oh|well|many|cool)\W+)*(?:thanks|thank you|thx)\b.{0,40}$",),
    Intent.YES: (
        rf"^\W*(?:yes|yeah|yep|sure|of course|absolutely|definitely|ok|okay|exactly){_SHORT}",
        r"^\W*i (?:do|did|am|was|have|would)\W*$",
    ),
    Intent.UNSURE: (
        rf"^\W*(?:maybe|perhaps|dunno|idk|no idea|(?:i'm |i am )?not sure){_SHORT}",
        rf"^\W*(?:i )?(?:don't|do not) know{_SHORT}",
    ),
    Intent.NO: (rf"^\W*(?:no|nope|nah|never|not really|not yet|i don't|i didn't){_SHORT}",),
    Intent.HOW_ARE_YOU: (
        r"\bhow (?:are|do) you(?: do)?(?: doing| today| feeling)*\W*$",
        r"\bhow's it going\b|\bwhat's up\b",
    ),
    Intent.WHO_ARE_YOU: (
        r"\b(?:who|what) are you\W*$|\byour name\b|\bwhat can you do\b",
        r"\bare you (?:an? )?(?:real|human|robot|bot|ai|machine|person|computer|offline|online)\b",
    ),
    Intent.MEMORY: (
        r"\b(?:do|can) you remember\b|\bwhat(?: is|'s) my\b|\bwho am i\b",
        r"\bwhat(?: did| have|'ve) (?:i|we)\b.{0,20}\b(?:say|said|tell|told|mention|talk|talked)",
    ),
    Intent.ENTERTAIN: (
        r"\b(?:tell|give|sing) (?:me|us) (?:a|an|another|some)\b.{0,20}\b(?:joke|story|poem|riddle|song)",
        r"^\W*(?:a |another )?(?:joke|story|riddle) please",
    ),
    Intent.PROPOSAL: (
        r"^\W*(?:please )?(?:let's|let us|can we|could we|shall we) (?:talk|speak|chat|practi[sc]e|discuss)",
        r"^\W*i(?:'d| would) like to (?:talk|speak|chat|practi[sc]e|discuss)|^\W*i want to (?:talk|speak|practi[sc]e)",
    ),
    Intent.ADVICE: (
        r"\bshould i\b|\bhow (?:can|do|should|could) i\b|\bwhat (?:can|could) i do\b",
        r"\b(?:advice|any tips|recommend|suggest)\b.*\?",
    ),
    Intent.YOUR_TASTE: (
        r"\b(?:do|have|would|did|can|could) you\b.*\?|\byour (?:favou?rite|opinion)\b",
        r"\b(?:what|how) about you\b|\band you\s*\?",
    ),
    Intent.QUESTION: (
        r"\?\W*$",
        r"^\W*(?:who|what|when|where|why|which|how|is|are|was|were|does|did|will|can|could)\b",
    ),
}
"""What gives an intent away; the first that fits wins, so the order matters."""
_PATTERNS = {intent: re.compile("|".join(phrases), re.IGNORECASE) for intent, phrases in _PHRASES.items()}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_GLAD = _words(
    "happy glad excited wonderful great amazing fantastic won passed fun enjoyed proud delighted awesome love loved"
    " brilliant promoted"
)
_SORRY = _words(
    "sad tired stressed stressful lonely anxious angry upset worried afraid scared bored sick ill died lost failed hate"
    " terrible awful bad difficult hard hurt nervous exhausted frustrated frustrating cried fired alone miss"
)
_NEGATIONS = _words("not never no isn't wasn't don't didn't doesn't can't couldn't without")


def intent_of(text: str, name: str | None = None) -> Intent:
    """What a message in English, without its greeting, wants of us. `name` is the one it introduces."""
    for intent, pattern in _PATTERNS.items():
        if pattern.search(text):
            return intent
    if name is not None:
        return Intent.INTRODUCTION
    return _mood_of([word.lower() for word in words_of(text)])


def _mood_of(words: list[str]) -> Intent:
    for at, word in enumerate(words):
        denied = not _NEGATIONS.isdisjoint(words[max(0, at - 2) : at])
        if word in _SORRY and not denied:
            return Intent.SORRY
        if word in _GLAD:
            return Intent.SORRY if denied else Intent.GLAD
    return Intent.STATEMENT
