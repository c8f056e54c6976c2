"""What pairs say of a network, all at once, and how sure one can be of it."""

import numpy as np
import pytest

from marginface.evaluation import reports
from marginface.evaluation.charts import roc_and_det
from marginface.evaluation.curves import auc, eer
from marginface.evaluation.reports import folds_of, pairs_among, report
from marginface.evaluation.statistics import wilson
from marginface.evaluation.verification import kfold_accuracy, tar_at_far


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "RESAMPLES", 100)


def drawn(people: int, each: int, seed: int = 0, noise: float = 1.0) -> tuple[np.ndarray, ...]:
    """Scores of all pairs of images whose people differ in how well they are recognised."""
    numbers = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), each)
    left, right, _ = pairs_among(who)
    same = who[left] == who[right]
    ease = numbers.normal(0, noise, people)
    scores = np.where(same, 2.0 + ease[who[left]], 0.0) + numbers.normal(0, 0.7, len(left))
    return scores, same, who[left], who[right]


@pytest.mark.usefixtures("few")
def test_the_numbers_are_those_of_the_protocols() -> None:
    scores, same, left, right = drawn(20, 4)
    found = report(scores, same, left, right, folds=5)
    assert found.accuracy.value == kfold_accuracy(scores, same, 5).accuracy
    assert (found.auc.value, found.eer.value) == (auc(scores, same), eer(scores, same))
    for point in found.points:
        assert point.tar.value == tar_at_far(scores, same, point.far, 5e-7)
    assert (found.genuine, found.impostors, found.people) == (20 * 6, 190 * 16, 20)
    for number in (found.accuracy, found.auc, found.eer, found.points[0].tar, found.points[0].threshold):
        assert number.low <= number.value <= number.high


@pytest.mark.usefixtures("few")
def test_a_far_that_lets_nobody_through_says_what_it_takes() -> None:
    scores, same, left, right = drawn(20, 4)
    points = {point.far: point for point in report(scores, same, left, right, folds=5).points}
    assert [far for far, point in points.items() if point.let_through] == [0.1, 0.01, 0.001]
    assert points[1e-4].needed == 10_000
    assert np.isnan(points[1e-4].tar.low)


@pytest.mark.usefixtures("few")
def test_intervals_over_people_cover_the_truth_and_those_over_pairs_do_not() -> None:
    """The truth is of very many people; pairs of one person go together, which intervals over pairs do not know."""
    truth = auc(*drawn(400, 2, seed=99)[:2])
    covered = {"people": 0, "pairs": 0}
    for seed in range(20):
        scores, same, left, right = drawn(20, 5, seed)
        for kind, people in (("people", (left, right)), ("pairs", (None, None))):
            found = report(scores, same, *people, folds=5, fars=()).auc
            covered[kind] += found.low <= truth <= found.high
    assert covered["people"] >= 15
    assert covered["pairs"] < covered["people"]


@pytest.mark.usefixtures("few")
def test_where_nobody_knows_who_is_who_pairs_are_drawn_anew() -> None:
    scores, same, _, _ = drawn(10, 3)
    found = report(scores, same, folds=5)
    assert found.people == 0
    correct = kfold_accuracy(scores, same, 5).correct
    assert (found.accuracy.low, found.accuracy.high) == wilson(int(correct.sum()), len(correct))


def test_what_does_not_fit_is_refused() -> None:
    scores, same, left, right = drawn(5, 2)
    with pytest.raises(ValueError, match=r"left_people and right_people must be \(45,\)"):
        report(scores, same, left[:-1], right, folds=3)
    with pytest.raises(ValueError, match="need genuine and impostor pairs"):
        report(scores, np.ones(45, dtype=bool))


def test_of_too_many_pairs_some_are_drawn() -> None:
    who = np.repeat(np.arange(30), 4)
    left, right, sampled = pairs_among(who, most=500)
    assert sampled
    pairs = set(zip(np.minimum(left, right).tolist(), np.maximum(left, right).tolist(), strict=True))
    assert len(pairs) == len(left) == 30 * 6 + 500
    assert (who[left] == who[right]).sum() == 30 * 6
    every, _, all_there = pairs_among(who)
    assert (len(every), all_there) == (120 * 119 // 2, False)


def test_no_person_is_in_two_folds_with_genuine_pairs() -> None:
    who = np.repeat(np.arange(12), 3)
    left, right, _ = pairs_among(who)
    folds = folds_of(who[left], who[right])
    same = who[left] == who[right]
    for person in range(12):
        assert len(set(folds[same & (who[left] == person)])) == 1
    assert len(set(folds)) > 2


def test_curves_are_drawn(tmp_path) -> None:  # type: ignore[no-untyped-def]
    scores, same, _, _ = drawn(10, 3)
    for ending in (".png", ".svg"):
        roc_and_det(scores, same, tmp_path / f"curves{ending}", "a title")
        assert (tmp_path / f"curves{ending}").stat().st_size > 1000
    with pytest.raises(ValueError, match=r"a plot is one of \.png"):
        roc_and_det(scores, same, tmp_path / "curves.doc")
