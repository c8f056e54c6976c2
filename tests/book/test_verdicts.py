"""Verdicts: the words follow from the numbers."""

import pytest

from marginface.book.verdicts import (
    WORDS,
    Claim,
    Verdict,
    claims_table,
    of_claims,
)


def claim(holds: bool) -> Claim:
    return Claim("a < b", "§1", holds, "a is 1, b is 2")


def test_misprints_and_observations_do_not_count() -> None:
    others = [Claim("a < b", "§1", False, "a is 2", kind) for kind in ("misprint", "observation")]
    assert of_claims([claim(True), *others]).word == "reproduced"
    assert of_claims([claim(True), *others]).evidence == ("1 of 1 claims hold; beside them 1 misprint and 1 observation",)
    assert of_claims(others).word == "as printed"
    assert claims_table([claim(False), *others])["holds"].tolist() == ["false", "misprint", "observation: not so"]
    with pytest.raises(ValueError, match="kind='joke' must be one of claim, observation, misprint"):
        Claim("a", "b", True, "c", "joke")


@pytest.mark.parametrize(
    ("held", "word"),
    [([True, True], "reproduced"), ([True, False], "reproduced in part"), ([False, False], "contradicted")],
)
def test_of_claims(held: list[bool], word: str) -> None:
    verdict = of_claims([claim(holds) for holds in held])
    assert verdict.word == word
    assert verdict.evidence.count("not so: a < b") == held.count(False)


def test_a_word_that_is_not_defined_is_refused() -> None:
    with pytest.raises(ValueError, match="'nice' on '' is not a verdict"):
        Verdict("nice")


def test_html_is_escaped() -> None:
    assert "&lt;" in of_claims([claim(False)])._repr_html_()
    assert claims_table([claim(True)]).to_dict("records")[0]["holds"] == "true"


def test_every_word_says_what_it_means() -> None:
    assert all(len(meaning) > 10 for meaning in WORDS.values())
