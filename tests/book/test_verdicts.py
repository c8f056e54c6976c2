"""Verdicts: the words follow from the numbers."""

import pytest

from marginface.book.verdicts import (
    WORDS,
    Claim,
    Verdict,
    claims_table,
    combine,
    of_claims,
    of_equivalence,
    of_increase,
)
from marginface.evaluation.statistics import Estimate


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


def increase(mean: float, half: float) -> Verdict:
    return of_increase(Estimate(mean, half, mean - half, mean + half, 3), "it grows")


@pytest.mark.parametrize(
    ("held", "word"),
    [([True, True], "reproduced"), ([True, False], "reproduced in part"), ([False, False], "contradicted")],
)
def test_of_claims(held: list[bool], word: str) -> None:
    verdict = of_claims([claim(holds) for holds in held])
    assert verdict.word == word
    assert verdict.evidence.count("not so: a < b") == held.count(False)


@pytest.mark.parametrize(
    ("mean", "half", "word"),
    [
        (2, 1, "reproduced"),
        (1, 2, "same direction, within noise"),
        (-1, 2, "opposite direction, within noise"),
        (-2, 1, "contradicted"),
        (2, float("nan"), "same direction, within noise"),  # one run decides nothing
        (-2, float("nan"), "opposite direction, within noise"),
    ],
)
def test_of_increase(mean: float, half: float, word: str) -> None:
    assert increase(mean, half).word == word


@pytest.mark.parametrize(
    ("mean", "half", "word"),
    [
        (0.1, 0.3, "reproduced"),
        (-0.4, 0.05, "reproduced"),  # differs from zero, and by less than the margin
        (0.1, 0.5, "undecided"),
        (1, 0.5, "undecided"),
        (-1, 0.4, "contradicted"),
        (0, float("nan"), "undecided"),  # one run decides nothing
    ],
)
def test_of_equivalence(mean: float, half: float, word: str) -> None:
    assert of_equivalence(Estimate(mean, half, mean - half, mean + half, 3), 0.5, "the same").word == word


def test_combine() -> None:
    good, same, opposite, bad = increase(2, 1), increase(1, 2), increase(-1, 2), increase(-2, 1)
    assert combine([good, good]).word == "reproduced"
    assert combine([good, bad]).word == "reproduced in part"
    assert combine([same, opposite]).word == "undecided"
    assert combine([opposite, opposite]).word == "opposite direction, within noise"
    assert combine([same, bad]).word == "contradicted"
    assert len(combine([same, bad]).evidence) == 2


def test_a_word_that_is_not_defined_is_refused() -> None:
    with pytest.raises(ValueError, match="'nice' on '' is not a verdict"):
        Verdict("nice")


def test_html_is_escaped() -> None:
    assert "&lt;" in of_claims([claim(False)])._repr_html_()
    assert claims_table([claim(True)]).to_dict("records")[0]["holds"] == "true"


def test_every_word_says_what_it_means() -> None:
    assert all(len(meaning) > 10 for meaning in WORDS.values())
