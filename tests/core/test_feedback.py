"""The stated measure of core/feedback.py, sentence by sentence."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.feedback import MAX_SUGGESTIONS, MAX_TARGETS, Feedback, assess

PLAIN = "I think the weather is nice today."


def test_a_plain_whole_sentence_is_clear_and_fluent() -> None:
    feedback = assess(PLAIN)
    assert (feedback.clarity, feedback.fluency) == (100, 100)


@pytest.mark.parametrize("text", ["", "   ", "\n", "🙂🙂 👍🏽", "?!…", "\u200d\ufe0f"])
def test_a_text_without_words_scores_nothing_and_is_told_so(text: str) -> None:
    assert assess(text, ("river",)) == Feedback(0, 0, "basic", 0, (), ("Say something in words.",), 0)


def test_emoji_beside_words_change_nothing() -> None:
    assert assess("I think the weather is nice 🙂 today.") == assess(PLAIN)


def test_a_missing_end_costs_ten_points_of_clarity() -> None:
    assert assess(PLAIN[:-1]).clarity == 90
    assert "Bring your last sentence to an end." in assess(PLAIN[:-1]).suggestions
    assert assess('He said: "I think the weather is nice."').clarity == 100


def test_each_word_beyond_twenty_in_a_sentence_costs_two_points_of_clarity() -> None:
    assert assess(" ".join(f"w{n}" for n in range(20)) + ".").clarity == 100
    assert assess(" ".join(f"w{n}" for n in range(25)) + ".").clarity == 90
    assert assess(" ".join(f"w{n}" for n in range(500)) + ".").clarity == 60


def test_sentences_of_one_or_two_words_are_clipped() -> None:
    assert assess("Nice weather. Very nice. Good.").clarity == 85


def test_fillers_cost_clarity_and_fluency_by_their_share() -> None:
    feedback = assess("Um, I think the weather is uh nice today.")  # two of nine words
    assert (feedback.clarity, feedback.fluency) == (77, 66)
    assert "Try a short pause in place of filler words." in feedback.suggestions


def test_two_words_can_be_a_filler_together_only() -> None:
    assert assess("I think you know the weather is nice.").fluency < 100
    assert assess("I think you all know the weather is nice.").fluency == 100


def test_repetitions_and_false_starts_cost_fluency() -> None:
    assert assess("I think the the weather is nice today again.").fluency == 83  # one of nine words
    assert assess("I wan- I think the weather is nice today.").fluency < 80
    assert assess("I think... the weather is nice today, isn't it?").fluency < 80
    assert assess("The well-known weather is nice today.").fluency == 100


def test_a_text_under_five_words_is_less_fluent_word_by_word() -> None:
    assert [assess(text).fluency for text in ("One.", "One two.", "One two three four.")] == [80, 85, 95]


def test_longer_and_more_varied_words_make_the_higher_tier() -> None:
    basic = assess("It is a big dog and it is my dog.")
    intermediate = assess("We should probably finish the project before summer holidays.")
    advanced = assess(
        "Notwithstanding considerable institutional resistance, the committee unanimously approved comprehensive "
        "environmental legislation. Subsequently, manufacturers demonstrated remarkable adaptability."
    )
    assert [one.vocabulary_tier for one in (basic, intermediate, advanced)] == ["basic", "intermediate", "advanced"]
    assert basic.vocabulary_score < intermediate.vocabulary_score < advanced.vocabulary_score


def test_target_words_are_found_as_whole_words_in_any_case_and_spelt_as_in_the_list() -> None:
    feedback = assess(
        "The RIVER runs, and we take off from the river bank.", ("River", "bank", "ban", "take off", "off take")
    )
    assert feedback.vocabulary_usage == ("River", "bank", "take off")
    assert "Try to use: ban, off take." in feedback.suggestions


def test_target_words_are_the_same_words_however_they_were_typed() -> None:
    assert assess("We sat in the cafe\u0301, don\u2019t you see.", ("café", "don't")).vocabulary_usage == (
        "café",
        "don't",
    )
    assert assess("Wir gehen über die STRASSE nach Hause.", ("Straße", "Über")).vocabulary_usage == ("Straße", "Über")


def test_using_the_target_words_raises_the_score() -> None:
    assert assess(PLAIN, ("weather",)).vocabulary_score > assess(PLAIN, ("storm",)).vocabulary_score


def test_target_words_beyond_the_limit_are_ignored() -> None:
    targets = (*(f"word{n}" for n in range(MAX_TARGETS)), "weather")
    assert assess(PLAIN, targets).vocabulary_usage == ()


@pytest.mark.parametrize("target", ["", " ", "🙂", "..."])
def test_a_target_without_a_word_is_never_used(target: str) -> None:
    assert assess(PLAIN, (target,)).vocabulary_usage == ()


def test_scripts_without_spaces_are_read_character_by_character() -> None:
    feedback = assess("我喜欢喝咖啡。今天天气很好。", ("咖啡", "茶"))
    assert (feedback.clarity, feedback.fluency, feedback.vocabulary_usage) == (100, 100, ("咖啡",))
    assert assess("สวัสดีครับ ผมชอบกาแฟ", ("กาแฟ",)).vocabulary_usage == ("กาแฟ",)


def test_vowel_signs_and_accents_belong_to_their_word() -> None:
    feedback = assess("मुझे हिन्दी बोलना पसंद है।", ("हिन्दी", "हन"))
    assert (feedback.clarity, feedback.fluency, feedback.vocabulary_usage) == (100, 100, ("हिन्दी",))


def test_there_are_few_suggestions_and_none_for_a_good_text() -> None:
    assert len(assess("um um uh- uh- I I", ("river",)).suggestions) == MAX_SUGGESTIONS
    assert assess("Yesterday evening our neighbours invited several friends.").suggestions == ()


@given(st.text(), st.lists(st.text(max_size=8), max_size=4))
def test_every_text_gets_scores_from_0_to_100(text: str, targets: list[str]) -> None:
    feedback = assess(text, tuple(targets))
    scores = (feedback.clarity, feedback.fluency, feedback.vocabulary_score, feedback.overall_rating)
    assert all(type(score) is int for score in scores)
    assert all(0 <= score <= 100 for score in scores)
    assert set(feedback.vocabulary_usage) <= set(targets)
    assert feedback == assess(text, tuple(targets))


@pytest.mark.parametrize(
    "piece", ["word ", "w", ".", "... ", "'", "a'", "- ", "a- ", "我", "\u0301\u0316", "🙂", " ", '")', "um um "]
)
def test_a_hundred_thousand_characters_of_anything_take_linear_time(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    began = time.process_time()
    assess(text, ("word word", "river"))
    assert time.process_time() - began < 1.0  # about 0.02; a quadratic measure takes many seconds
