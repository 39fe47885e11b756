"""Which language a message is in, as far as the offline partner has to know: English, or one it cannot speak."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

_TONGUES = {
    "de": "ich bin ist nicht und der die das ein eine mein meine wie geht dir ihnen hallo guten tag morgen danke heute"
    " gern sehr habe mit auf war kann wir sie",
    "fr": "je suis est pas et le la les un une mon ma comment ça va bonjour salut merci aujourd'hui très avec dans"
    " j'aime j'ai nous vous c'est que pour",
    "es": "yo soy es no y el la los las un una mi cómo como estás hola buenos días gracias hoy muy con en me gusta"
    " tengo estoy qué que por para",
    "it": "io sono è non e il lo gli un una mio mia come stai ciao buongiorno grazie oggi molto con mi piace ho"
    " che per",
}
_WORDS_OF = {tongue: frozenset(words.split()) for tongue, words in _TONGUES.items()}
_ENGLISH = (
    "i am is are not and the a an my how you hello hi good thanks today very have with on was can we they it to of in"
    " that do for like what"
)
_ENGLISH_WORDS = frozenset(_ENGLISH.split())
_OTHER_SCRIPTS = {
    "CYRILLIC": "ru", "HIRAGANA": "ja", "KATAKANA": "ja", "CJK": "zh", "HANGUL": "ko", "ARABIC": "ar",
    "GREEK": "", "HEBREW": "", "DEVANAGARI": "", "THAI": "",
}  # fmt: skip


def tongue_of(text: str) -> str | None:
    """The language code of a text that is not English, "" for one we cannot name, None for English."""
    letters = [char for char in text if char.isalpha()]
    scripts = Counter(unicodedata.name(char, "").split(" ")[0].split("-")[0] for char in letters)
    if scripts["LATIN"] * 2 < len(letters):
        kana = scripts["HIRAGANA"] + scripts["KATAKANA"]
        script = "HIRAGANA" if kana else scripts.most_common(1)[0][0]
        return _OTHER_SCRIPTS.get(script, "")
    words = re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?", text.lower())
    enough = 1 if len(words) <= 2 else 2
    telling = [word for word in words if len(word) > 3] if enough == 1 else words
    hits = {tongue: sum(word in known for word in telling) for tongue, known in _WORDS_OF.items()}
    best = max(hits, key=lambda tongue: hits[tongue])
    return best if hits[best] >= enough and hits[best] > sum(word in _ENGLISH_WORDS for word in words) else None
