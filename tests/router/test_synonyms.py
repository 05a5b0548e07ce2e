"""What is written instead of the words of others can be written."""

import pytest

from router.fields import UnknownField, field_at, is_field
from router.rules import RuleErrors, compile_route
from router.synonyms import COMPARISONS, FIELDS, event_meant


@pytest.mark.parametrize("word", FIELDS)
def test_a_field_that_is_meant_is_one_and_the_word_for_it_is_none(word: str) -> None:
    assert is_field(FIELDS[word])
    with pytest.raises(UnknownField, match=f'did you mean "{FIELDS[word]}"'):
        field_at(word.capitalize().replace("_", " "))


@pytest.mark.parametrize("word", COMPARISONS)
def test_a_comparison_of_others_is_told_with_what_to_write_instead(word: str) -> None:
    with pytest.raises(RuleErrors) as caught:
        compile_route("r", {"department": {word: 5}}, ["s"])
    assert COMPARISONS[word].format(name="department") in str(caught.value)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Hired", "a hire is event: OutcomeChanged with outcome: HIRED"),
        ("candidate_withdrew", "that is event: OutcomeChanged with outcome: DECLINED"),
        ("New Candidate", "that is event: ApplicationCreated"),
        ("Stage moved", "that is event: StageChanged"),
        ("offer accepted", "that is event: OfferChanged with offer.status: ACCEPTED"),
        ("InterviewCanceled", "that is event: InterviewChanged with interview.status: CANCELLED"),
        ("OfferCreated", None),
        ("Something", None),
    ],
)
def test_an_event_in_words_of_ones_own(written: str, meant: str | None) -> None:
    assert event_meant(written) == meant
