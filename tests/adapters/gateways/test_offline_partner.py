from __future__ import annotations

import math

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from adapters.gateways.improvisation import improvise
from adapters.gateways.listening import Intent, hear
from adapters.gateways.offline_partner import OfflinePartner, ScriptedModel, welcome
from adapters.gateways.voices import VOICES
from core.ports import ModelFailure, Prompt, Turn


def prompt_of(*said: str, personality: str = "friendly_neutral", topic: str | None = None) -> Prompt:
    """A prompt whose turns alternate, the user's first."""
    turns = tuple(Turn("assistant" if n % 2 else "user", text) for n, text in enumerate(said))
    return Prompt(personality, topic, "daily", turns)


def answers_to(*said: str, personality: str = "friendly_neutral", topic: str | None = None) -> list[str]:
    """What the partner answers to each, in one conversation."""
    turns: list[str] = []
    for text in said:
        turns.append(text)
        turns.append(improvise(prompt_of(*turns, personality=personality, topic=topic)))
    return turns[1::2]


# --- the words --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("personality", VOICES)
def test_every_personality_welcomes_in_its_own_words(personality: str) -> None:
    others = {welcome(other, None) for other in VOICES if other != personality}
    assert welcome(personality, None) not in others
    assert "{" not in welcome(personality, None)


def test_a_welcome_names_the_topic() -> None:
    assert "the sea" in welcome("friendly_neutral", "the sea")
    assert welcome("friendly_neutral", "  ") == welcome("friendly_neutral", None)


def test_an_unknown_personality_speaks_as_friendly_neutral() -> None:
    said = ("I went to the sea.",)
    assert answers_to(*said, personality="pirate") == answers_to(*said)
    assert welcome("pirate", None) == welcome("friendly_neutral", None)


def test_a_personality_s_name_may_be_written_in_other_ways() -> None:
    assert (
        welcome("Encouraging Coach", None) == welcome("encouraging-coach", None) == welcome("encouraging_coach", None)
    )


def test_personalities_answer_the_same_words_differently() -> None:
    assert len({improvise(prompt_of("I went to the sea.", personality=name)) for name in VOICES}) == len(VOICES)


def test_the_same_prompt_gets_the_same_answer() -> None:
    prompt = prompt_of("I like chess", "Nice.", "My brother always wins")
    assert improvise(prompt) == improvise(prompt)


def test_what_was_said_is_said_back_as_you() -> None:
    [answer] = answers_to("I went hiking in the Alps with my sister.")
    assert "you went hiking in the Alps with your sister" in answer


def test_the_answer_asks_about_what_was_spoken_of() -> None:
    [answer] = answers_to("It was cold but the view was beautiful")
    assert "the view" in answer
    assert answer.endswith("?")


def test_a_conversation_does_not_repeat_its_lines() -> None:
    answers = answers_to("My cat sleeps", "My cat eats", "My cat sings", "My cat jumps")
    questions = [answer.rsplit(". ", 1)[-1] for answer in answers]
    assert len(set(questions)) == len(questions)


def test_an_earlier_subject_is_taken_up_again() -> None:
    *_, third = answers_to("I bought a guitar.", "Yes", "The weather was terrible, but the concert was fun")
    assert "guitar" not in third
    *_, third = answers_to("I bought a guitar.", "Yes", "I heard a concert on Monday")
    assert "the guitar" in third


def test_it_remembers_a_name_and_what_was_spoken_of() -> None:
    *_, answer = answers_to("Hello, my name is Anna.", "I bought a guitar.", "What do you remember? What is my name?")
    assert "Anna" in answer
    assert "the guitar" in answer


def test_with_nothing_to_remember_it_says_so() -> None:
    [answer] = answers_to("Do you remember me?")
    assert "haven't told me much" in answer


def test_a_question_of_fact_is_answered_honestly() -> None:
    for question in ("What is the capital of France?", "when does the train leave", "Is it raining in Oslo?"):
        [answer] = answers_to(question)
        assert "offline" in answer or "can't look it up" in answer


def test_asked_who_it_is_it_does_not_pretend_to_be_a_person() -> None:
    for question in ("Who are you?", "Are you a real person?", "are you human"):
        [answer] = answers_to(question)
        assert "program" in answer or "without the internet" in answer


def test_repeating_oneself_is_noticed() -> None:
    _, answer = answers_to("This is a test message", "this is a test message")
    assert "before" in answer or "come back to that" in answer


def test_a_sad_message_gets_sympathy_and_a_glad_one_does_not() -> None:
    sad, glad = VOICES["formal"].sorry, VOICES["formal"].glad
    assert any(line in answers_to("I am not happy today", personality="formal")[0] for line in sad)
    assert any(line in answers_to("I am so happy today", personality="formal")[0] for line in glad)


def test_a_goodbye_is_answered_with_one_and_no_further_question() -> None:
    [answer] = answers_to("Thanks, I have to go now. Bye!")
    assert not answer.endswith("?")
    assert any(line in answer for line in VOICES["friendly_neutral"].farewell)


def test_the_topic_is_offered_when_there_is_nothing_else_to_go_on() -> None:
    assert "the sea" in answers_to("Hello!", topic="the sea")[0]
    assert "the sea" in answers_to("It is so", topic="the sea")[0]


def test_another_language_is_recognised_and_english_offered() -> None:
    for text, word in (
        ("Ich bin heute sehr müde", "Deutsch"),
        ("Bonjour, je suis content", "français"),
        ("Hola", "español"),
        ("我喜欢喝茶", "中文"),
        ("私はお茶が好きです", "日本語"),
        ("Привет, как дела?", "русский"),
        ("สวัสดีครับ", "isn't English"),
    ):
        [answer] = answers_to(text)
        assert word in answer
        assert "in English" in answer


@pytest.mark.parametrize(
    "text, intent",
    [
        ("", Intent.WORDLESS),
        ("...", Intent.WORDLESS),
        ("😀", Intent.WORDLESS),
        ("hi there", Intent.GREETING),
        ("Good morning!", Intent.GREETING),
        ("thank you so much", Intent.THANKS),
        ("yes, of course", Intent.YES),
        ("no", Intent.NO),
        ("me too", Intent.STATEMENT),
        ("I don't know", Intent.UNSURE),
        ("How are you?", Intent.HOW_ARE_YOU),
        ("Hi, how are you doing today?", Intent.HOW_ARE_YOU),
        ("Do you like sushi?", Intent.YOUR_TASTE),
        ("How should I start?", Intent.ADVICE),
        ("tell me a joke", Intent.ENTERTAIN),
        ("Let's talk about trains", Intent.PROPOSAL),
        ("I have to go to work every day", Intent.STATEMENT),
        ("42", Intent.STATEMENT),
    ],
)
def test_intents_are_heard(text: str, intent: Intent) -> None:
    assert hear(text).intent is intent


@pytest.mark.parametrize(
    "text, subject",
    [
        ("Let's talk about trains", "trains"),
        ("My sister hates the cold", "your sister"),
        ("We got a new puppy!", "the new puppy"),
        ("I want to visit Japan next year.", "Japan"),
        ("I like cooking", "cooking"),
        ("it is what it is", None),
    ],
)
def test_subjects_are_heard(text: str, subject: str | None) -> None:
    assert hear(text).subject == subject


@given(st.lists(st.text(max_size=60), min_size=1, max_size=5), st.sampled_from([*VOICES, ""]), st.none() | st.text())
def test_there_is_an_answer_to_everything(said: list[str], personality: str, topic: str | None) -> None:
    answer = improvise(prompt_of(*said, personality=personality, topic=topic))
    assert answer.strip()


def test_there_is_an_answer_even_to_nothing() -> None:
    assert improvise(Prompt("playful", None, "daily", ()))


# --- the models -------------------------------------------------------------------------------------------------


async def test_the_offline_partner_streams_word_by_word(autojump_clock: MockClock) -> None:
    prompt, partner = prompt_of("I like chess"), OfflinePartner(pause=0.5)
    began = autojump_clock.current_time()
    async with partner.draft(prompt) as pieces:
        said = [(autojump_clock.current_time() - began, str(piece)) async for piece in pieces]
    assert "".join(piece for _, piece in said) == improvise(prompt)
    assert [round(at, 6) for at, _ in said] == [0.5 * n for n in range(1, len(said) + 1)]
    assert all(len(piece.split()) == 1 for _, piece in said)


async def test_the_offline_partner_may_be_left_in_the_middle() -> None:
    async with OfflinePartner(pause=0.0).draft(prompt_of("I like chess")) as pieces:
        assert str(await anext(pieces)).strip()


def test_the_offline_partner_has_its_name_in_the_log() -> None:
    assert OfflinePartner().name == "offline-partner"


async def test_a_script_is_played_with_its_waits_and_its_failure(autojump_clock: MockClock) -> None:
    model = ScriptedModel(["a", 2.0, "b", ModelFailure("enough", 3.0)])
    began = autojump_clock.current_time()
    async with model.draft(prompt_of("x")) as pieces:
        assert (await anext(pieces), autojump_clock.current_time() - began) == ("a", 0.0)
        assert (await anext(pieces), autojump_clock.current_time() - began) == ("b", 2.0)
        with pytest.raises(ModelFailure, match="enough"):
            await anext(pieces)


async def test_a_script_gives_its_answers_in_turn_and_keeps_to_the_last() -> None:
    model = ScriptedModel(["a"], ["b"])
    heard = []
    for n in range(3):
        async with model.draft(prompt_of(str(n))) as pieces:
            heard += [piece async for piece in pieces]
    assert heard == ["a", "b", "b"]
    assert [prompt.turns[0].content for prompt in model.prompts] == ["0", "1", "2"]


async def test_a_script_can_stall_for_ever(autojump_clock: MockClock) -> None:
    with trio.move_on_after(1000) as scope:
        async with ScriptedModel([math.inf, "never"]).draft(prompt_of("x")) as pieces:
            await anext(pieces)
    assert scope.cancelled_caught
    assert autojump_clock.current_time() >= 1000


def test_a_script_needs_an_answer() -> None:
    with pytest.raises(ValueError, match="at least one"):
        ScriptedModel()
