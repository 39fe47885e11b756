"""What the offline partner says alike in every voice, chiefly where honesty about being offline matters most."""

from __future__ import annotations

from adapters.gateways.listening import Intent
from adapters.gateways.voices import Lines

REACTIONS: dict[Intent, Lines] = {
    Intent.WORDLESS: (
        "I didn't catch any words there. Take your time.",
        "That came through without words. No hurry, I'm still here.",
    ),
    Intent.INTRODUCTION: ("Nice to meet you, {name}!", "Good to know your name, {name}."),
    Intent.THANKS: ("You're very welcome.", "My pleasure.", "Any time."),
    Intent.YES: ("Good, then let's stay with that.", "All right!", "I thought you might say yes."),
    Intent.NO: ("Fair enough.", "All right, then let's turn it around.", "No is a perfectly good answer."),
    Intent.UNSURE: (
        "You don't have to be sure.",
        "That's fine, we can find out together.",
        "Take a guess, nobody is counting.",
    ),
    Intent.HOW_ARE_YOU: (
        "I have no good or bad days, I'm a small program, but I'm ready and listening.",
        "All my lines are in order, thank you for asking.",
    ),
    Intent.WHO_ARE_YOU: (
        "I'm the offline partner: a small program that answers from written lines, with no language model behind it.",
        "I'm a conversation partner that works without the internet: I listen and ask, but I know little of the world.",
    ),
    Intent.YOUR_TASTE: (
        "I'm a program without tastes or memories of my own, so your view counts for more than mine.",
        "Honestly, I have no life to draw on there, I'm only the offline partner.",
    ),
    Intent.ADVICE: (
        "I can't look up advice offline, but saying it aloud often helps: what have you tried so far?",
        "I'm no expert, so let me ask instead: which answer were you hoping for?",
    ),
    Intent.QUESTION: (
        "I can't look that up: I'm the offline partner and have no facts at hand. What would be your own guess?",
        "Good question, but I'm offline and would only be making it up. What do you know about it already?",
        "I don't know, and I can't look it up from here. What made you think of it?",
    ),
    Intent.ENTERTAIN: (
        'A ghost joins an improv class. The teacher asks what it brings to a scene. "Boos", it says. Your turn!',
        "A lighthouse fell in love with a ship and winked for years. One night it winked back. How does it go on?",
        'Let\'s make one together, three words at a time. I begin: "Midnight. Kitchen. Footsteps." Now you!',
    ),
    Intent.PROPOSAL: ("Gladly.", "Yes, let's do that.", "Good choice."),
}
"""The reactions to what a voice has no lines of its own for. `{name}` is the user's name."""

RECALL: Lines = (
    "Earlier you mentioned {then}. Does that have to do with {it}?",
    "You also spoke of {then} before. Which of the two is closer to your heart, that or {it}?",
)
REMEMBERED = "So far you have told me about {list}."
REMEMBERED_NAME = "Your name is {name}."
NOTHING_YET = "You haven't told me much yet, so there is little to remember."
AGAIN: Lines = (
    "You said that before, so it must matter to you.",
    "You come back to that. Let's look at it more closely.",
)
CARE: Lines = (
    "What weighs most on you about {it}?",
    "What would make {it} a little easier?",
    "Would you like to tell me more about {it}?",
)
CARE_OPENLY: Lines = ("Would you like to tell me what happened?", "What would help you a little, right now?")
TOPIC_QUESTION: Lines = (
    "And how does that go with our topic, {topic}?",
    "Shall we come back to {topic}? What's the first thing you'd say about it?",
)
GREET_TOPIC = "Shall we talk about {topic}? Tell me the first thing that comes to mind."

FOREIGN = {
    "de": "Das ist Deutsch, das erkenne ich, aber ohne Internet kann ich mich nur auf Englisch unterhalten.",
    "fr": "Je reconnais le français, mais hors ligne je ne sais parler qu'anglais.",
    "es": "Reconozco el español, pero sin conexión solo puedo conversar en inglés.",
    "it": "Riconosco l'italiano, ma senza connessione so parlare solo inglese.",
    "ru": "Я узнаю русский язык, но без интернета могу говорить только по-английски.",
    "ja": "日本語だとわかりますが、オフラインでは英語でしかお話しできません。",
    "zh": "我看得出这是中文，但离线时我只能用英语交谈。",
    "ko": "한국어인 것은 알지만, 오프라인에서는 영어로만 대화할 수 있습니다.",
    "ar": "أرى أنك تكتب بالعربية، لكنني لا أستطيع التحدث دون اتصال إلا بالإنجليزية.",
    "": "I can see that this isn't English, but I don't know the language.",
}
FOREIGN_OFFER: Lines = (
    "(Offline I only speak English. Shall we try it in English? A few words are enough.)",
    "(I'm limited to English while I'm offline. Could you say it in English, however simply?)",
)
