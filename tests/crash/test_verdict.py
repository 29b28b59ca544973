"""The judge is strict: what it lets pass was answered whole, once, and in order."""

from __future__ import annotations

from bot import texts
from tests.crash.talk import Question
from tests.crash.verdict import Asked, Said, Verdict, judge

ONE, TWO = Question(1, 6), Question(2, 4)
LABEL = f"\n\n{texts.POSSIBLY_REPEATED}"


def verdict(*said: str, failing: bool = False, slash: bool = False, first_asked: tuple[int, ...] = (1, 2)) -> Verdict:
    """Judge a chat in which both questions were put before the bot said anything."""
    messages = [Said("a", False, ONE.text), Said("b", False, TWO.text)]
    messages += [Said(f"m{place}", True, text) for place, text in enumerate(said)]
    asked = [Asked("c", ONE, "a", slash=slash, failing=failing), Asked("c", TWO, "b")]
    return judge({"c": messages}, asked, first_asked)


def words(question: Question, begin: int = 0, end: int | None = None) -> str:
    return " ".join(question.answer[begin:end])


def test_whole_answers_in_order_are_clean() -> None:
    found = verdict(words(ONE), words(TWO))
    assert found.clean
    assert not found.labelled
    assert not found.told


def test_an_answer_over_several_messages_is_whole() -> None:
    assert verdict(words(ONE, 0, 3), words(ONE, 3), words(TWO)).clean


def test_no_word_of_an_answer_is_lost() -> None:
    assert verdict(words(TWO)).lost == [1]


def test_missing_words_are_incomplete() -> None:
    assert verdict(words(ONE, 0, 5), words(TWO)).incomplete == [1]
    assert verdict(words(ONE, 0, 2), words(ONE, 3), words(TWO)).incomplete == [1]


def test_a_part_that_stands_there_again_is_incomplete() -> None:
    assert verdict(words(ONE, 0, 2), words(ONE), words(TWO)).incomplete == [1]


def test_two_whole_answers_are_twice() -> None:
    assert verdict(words(ONE), words(ONE), words(TWO)).twice == [1]


def test_a_labelled_repeat_is_counted_and_not_twice() -> None:
    for first in (words(ONE, 0, 2), words(ONE)):
        found = verdict(first, words(ONE) + LABEL, words(TWO))
        assert found.clean
        assert found.labelled == [1]


def test_a_label_without_a_first_message_is_counted_apart() -> None:
    found = verdict(words(ONE) + LABEL, words(TWO))
    assert found.clean
    assert found.overcautious == [1]
    assert not found.labelled


def test_a_label_excuses_one_message_only() -> None:
    assert verdict(words(ONE), words(ONE), words(ONE) + LABEL, words(TWO)).twice == [1]


def test_an_answer_behind_a_later_one_is_out_of_order() -> None:
    assert verdict(words(TWO), words(ONE)).disorder == [1]
    assert verdict(words(ONE), words(TWO), first_asked=(2, 1)).disorder == [1]


def test_the_place_of_an_answer_to_a_slash_command_is_discords_business() -> None:
    assert verdict(words(TWO), words(ONE), slash=True).clean


def test_a_failure_that_is_told_before_the_next_question_counts_where_one_was_made() -> None:
    def told(*, failing: bool, after: int) -> Verdict:
        said = [Said("a", False, ONE.text), Said("b", False, TWO.text), Said("n", True, words(TWO))]
        said.insert(after, Said("m", True, "⚠️ The answer was cut off on its way."))
        return judge({"c": said}, [Asked("c", ONE, "a", failing=failing), Asked("c", TWO, "b")], (1, 2))

    assert told(failing=True, after=1).told == [1]
    assert told(failing=False, after=1).lost == [1]
    assert told(failing=True, after=2).lost == [1]
