"""What the offline partner says: a pure function of the prompt, so the same conversation always goes the same way."""

from __future__ import annotations

import re
import zlib
from functools import cached_property

from adapters.gateways.listening import Heard, Intent, hear
from adapters.gateways.shared_lines import (
    AGAIN,
    CARE,
    CARE_OPENLY,
    FOREIGN,
    FOREIGN_OFFER,
    GREET_TOPIC,
    NOTHING_YET,
    REACTIONS,
    RECALL,
    REMEMBERED,
    REMEMBERED_NAME,
    TOPIC_QUESTION,
)
from adapters.gateways.voices import Lines, Voice, voice_of
from core.ports import Prompt

RECALL_EVERY = 3
"""Turns of the user between two questions that go back to something said before."""
MAX_LISTED = 4
"""Things counted up when the user asks what we remember."""


def welcome(personality: str, topic: str | None) -> str:
    """The first words of a conversation, before anybody has said anything."""
    voice = voice_of(personality)
    return f"{voice.welcome} {GREET_TOPIC.format(topic=topic.strip()) if topic and topic.strip() else voice.invite}"


def improvise(prompt: Prompt) -> str:
    """An answer to the last thing said. Never empty, never raises."""
    scene = Scene(prompt)
    return f"{lead_of(scene)} {follow_of(scene)}".strip()


class Scene:
    """A conversation as the partner sees it: who it is, what was heard now and before, what it has said already."""

    def __init__(self, prompt: Prompt) -> None:
        heard = [hear(turn.content) for turn in prompt.turns if turn.role == "user"]
        self.voice: Voice = voice_of(prompt.personality)
        self.topic = (prompt.topic or "").strip() or None
        self.now: Heard = heard[-1] if heard else hear("")
        self.before: list[Heard] = heard[:-1]
        self._said = " ".join(turn.content for turn in prompt.turns if turn.role == "assistant")

    @cached_property
    def subjects(self) -> list[str]:
        """What the user spoke of before, in order, without what they speak of now."""
        past = [heard.subject for heard in self.before if heard.subject and heard.subject != self.now.subject]
        return list(dict.fromkeys(past))

    @cached_property
    def subject(self) -> str | None:
        """What the talk is about: what was just said, or else the last subject there was."""
        return self.now.subject or (self.subjects[-1] if self.subjects else None)

    @cached_property
    def name(self) -> str | None:
        """The user's name, if they gave it."""
        return next((heard.name for heard in (self.now, *reversed(self.before)) if heard.name), None)

    @cached_property
    def is_repeated(self) -> bool:
        now = self.now.text.casefold()
        return len(now) > 8 and any(heard.text.casefold() == now for heard in self.before)

    def pick(self, lines: Lines, **values: str | None) -> str:
        """One of the lines, filled in: by the words heard and the turn, if possible none that was said before."""
        filled = [line.format_map({**values, "Gist": _capital(values.get("gist") or "")}) for line in lines]
        start = zlib.crc32(self.now.text.encode("utf-8", "replace")) + len(self.before)
        turned = [filled[(start + step) % len(filled)] for step in range(len(filled))]
        return next((line for line in turned if line not in self._said), turned[0])


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def lead_of(scene: Scene) -> str:
    """The reaction to what was said."""
    voice, heard = scene.voice, scene.now
    match heard.intent:
        case Intent.GREETING:
            return scene.pick(voice.greet)
        case Intent.FAREWELL:
            return _named(scene, scene.pick(voice.farewell))
        case Intent.FOREIGN:
            return FOREIGN.get(heard.tongue, FOREIGN[""])
        case Intent.MEMORY:
            return _remembered(scene)
        case Intent.GLAD:
            return scene.pick(voice.glad)
        case Intent.SORRY:
            return scene.pick(voice.sorry)
        case Intent.STATEMENT if scene.is_repeated:
            return scene.pick(AGAIN)
        case Intent.STATEMENT:
            return scene.pick(voice.mirror, gist=heard.gist) if heard.gist else scene.pick(voice.nod)
        case _:
            return scene.pick(REACTIONS[heard.intent], name=heard.name)


def _named(scene: Scene, line: str) -> str:
    """The line, with the user's name at its first exclamation mark or stop, if we know it."""
    return re.sub(r"([.!])", rf", {scene.name}\1", line, count=1) if scene.name and scene.name not in line else line


def _remembered(scene: Scene) -> str:
    parts = [REMEMBERED_NAME.format(name=scene.name)] if scene.name else []
    if listed := scene.subjects[-MAX_LISTED:]:
        parts.append(REMEMBERED.format(list=_listing(listed)))
    return " ".join(parts) or NOTHING_YET


def _listing(things: list[str]) -> str:
    return things[0] if len(things) == 1 else f"{', '.join(things[:-1])} and {things[-1]}"


_NO_FOLLOW = frozenset({Intent.FAREWELL, Intent.ENTERTAIN, Intent.ADVICE, Intent.QUESTION})
"""These leads end the turn by themselves."""


def follow_of(scene: Scene) -> str:
    """The question that hands the turn back."""
    match scene.now.intent:
        case intent if intent in _NO_FOLLOW:
            return ""
        case Intent.FOREIGN:
            return scene.pick(FOREIGN_OFFER)
        case Intent.GREETING | Intent.WORDLESS | Intent.WHO_ARE_YOU | Intent.HOW_ARE_YOU | Intent.INTRODUCTION:
            return _invitation(scene)
        case Intent.SORRY:
            return scene.pick(CARE, it=scene.now.subject) if scene.now.subject else scene.pick(CARE_OPENLY)
        case Intent.GLAD if scene.now.subject is None:
            return scene.pick(scene.voice.widen)
        case _:
            return _question(scene)


def _invitation(scene: Scene) -> str:
    if scene.subject:
        return scene.pick(scene.voice.ask, it=scene.subject)
    return GREET_TOPIC.format(topic=scene.topic) if scene.topic else scene.voice.invite


def _question(scene: Scene) -> str:
    turn = len(scene.before) + 1
    if scene.now.subject and scene.subjects and turn % RECALL_EVERY == 0:
        return scene.pick(RECALL, it=scene.now.subject, then=scene.subjects[-1])
    if scene.subject:
        return scene.pick(scene.voice.ask, it=scene.subject)
    return scene.pick(TOPIC_QUESTION, topic=scene.topic) if scene.topic else scene.pick(scene.voice.widen)
