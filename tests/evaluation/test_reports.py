"""What pairs say of a network, all at once, and how sure one can be of it."""

import tracemalloc
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes

from marginface.evaluation import charts, reports
from marginface.evaluation.charts import roc_and_det
from marginface.evaluation.curves import auc, eer
from marginface.evaluation.reports import folds_of, pairs_among, report
from marginface.evaluation.scores import TIE
from marginface.evaluation.statistics import wilson
from marginface.evaluation.verification import far_threshold, kfold_accuracy, tar_at_far


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
    assert found.accuracy is not None
    assert found.accuracy.value == pytest.approx(kfold_accuracy(scores, same, 5).accuracy, abs=1e-12)
    assert (found.auc.value, found.eer.value) == (auc(scores, same), eer(scores, same))
    for point in found.points:
        assert point.tar.value == tar_at_far(scores, same, point.far, 5e-7)
    assert (found.genuine, found.impostors, found.people) == (20 * 6, 190 * 16, 20)
    for number in (found.accuracy, found.auc, found.eer, found.points[0].tar, found.points[0].threshold):
        assert number.low <= number.value <= number.high


def tied(seed: int, genuine: int = 60, impostors: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Scores of which most are equal to others, of either kind."""
    numbers = np.random.default_rng(seed)
    same = np.arange(genuine + impostors) < genuine
    return np.where(same, numbers.integers(0, 5, len(same)), numbers.integers(0, 4, len(same))) / 4, same


def test_pairs_that_count_once_measure_what_all_pairs_do() -> None:
    """Intervals are of the very numbers that they stand beside: with ties, and where no threshold has equal errors."""
    for scores, same in (tied(0), tied(1, 7, 9), drawn(20, 4)[:2]):
        fars = (0.3, 0.1, 0.02)
        found = reports._Measures(scores, same).of(np.ones(len(same), dtype=np.int64), fars)
        expected = [auc(scores, same), eer(scores, same)]
        for far in fars:
            expected += [tar_at_far(scores, same, far, TIE), far_threshold(scores, same, far, TIE)]
        assert found == pytest.approx(expected, rel=1e-12)


def test_pairs_that_count_twice_measure_what_two_pairs_do() -> None:
    scores, same = tied(0)
    weights = np.random.default_rng(1).integers(0, 3, len(same))
    twice = np.repeat(scores, weights), np.repeat(same, weights)
    found = reports._Measures(scores, same).of(weights, (0.1,))
    expected = [auc(*twice), eer(*twice), tar_at_far(*twice, 0.1, TIE), far_threshold(*twice, 0.1, TIE)]
    assert found == pytest.approx(expected, rel=1e-12)


def test_the_order_of_pairs_with_equal_scores_has_no_say_in_intervals() -> None:
    scores, same = tied(0)
    weights = np.random.default_rng(1).integers(0, 3, len(same))
    for order in (slice(None, None, -1), np.random.default_rng(2).permutation(len(same))):
        assert reports._Measures(scores, same).of(weights, (0.1,)) == reports._Measures(scores[order], same[order]).of(
            weights[order], (0.1,)
        )


@pytest.mark.usefixtures("few")
def test_intervals_hold_their_numbers_where_most_scores_are_equal() -> None:
    for order in (slice(None), slice(None, None, -1)):
        scores, same = (each[order] for each in tied(0))
        found = report(scores, same, folds=np.arange(len(same)) % 10, fars=(0.1,))
        for number in (found.auc, found.eer, found.points[0].tar, found.points[0].threshold):
            assert number.low <= number.value <= number.high


@pytest.mark.usefixtures("few")
def test_the_accuracy_of_unequal_folds_lies_in_its_interval() -> None:
    for seed in range(40):
        numbers = np.random.default_rng(seed)
        who = np.repeat(np.arange(12), numbers.integers(2, 12, 12))
        vectors = numbers.normal(size=(12, 16))[who] + 1.3 * numbers.normal(size=(len(who), 16))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        left, right, _ = pairs_among(who)
        scores, same = (vectors[left] * vectors[right]).sum(axis=1), who[left] == who[right]
        fold = folds_of(who[left], who[right])
        found = report(scores, same, who[left], who[right], folds=fold, fars=())
        assert found.accuracy is not None
        assert found.accuracy.value == kfold_accuracy(scores, same, fold).correct.mean()
        assert found.accuracy.low <= found.accuracy.value <= found.accuracy.high, seed


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
    assert found.accuracy is not None
    assert (found.accuracy.low, found.accuracy.high) == wilson(int(correct.sum()), len(correct))


@pytest.mark.usefixtures("few")
def test_where_folds_cannot_be_made_there_is_all_but_an_accuracy() -> None:
    scores, same, left, right = drawn(2, 4)
    cases: dict[str, int | np.ndarray | None] = {
        "the pairs outside fold 0 need both genuine and impostor pairs": folds_of(left, right),
        "28 pairs cannot be cut in 40 folds": 40,
        "all pairs are in fold 0": np.zeros(28, dtype=np.int64),
        "nobody asked for it": None,
    }
    for why, folds in cases.items():
        found = report(scores, same, left, right, folds=folds)
        assert (found.accuracy, found.folds, np.isnan(found.accuracy_std)) == (None, 0, True)
        assert why in found.no_accuracy
        assert found.auc.low <= found.auc.value == auc(scores, same) <= found.auc.high
    assert report(scores, same, folds=np.arange(28) % 2).no_accuracy == ""
    with pytest.raises(ValueError, match="folds must be a number or one number for each of 28 pairs"):
        report(scores, same, folds=np.zeros(3, dtype=np.int64))


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


def test_every_image_is_as_likely_as_any_other_in_pairs_that_are_drawn() -> None:
    who = np.random.default_rng(0).permutation(np.repeat(np.arange(100), 3))  # people of a folder need not be in order
    left, right, _ = pairs_among(who, most=6000)
    impostors = who[left] != who[right]
    assert impostors.sum() == 6000
    often = np.bincount(np.concatenate([left[impostors], right[impostors]]), minlength=300)
    assert often.min() > 0
    expected, deviation = 40, 40**0.5
    assert np.abs(often - expected).max() < 5 * deviation
    for k in range(0, 300, 60):
        assert abs(often[k : k + 60].mean() - expected) < 5 * deviation / 60**0.5, "the first images and the last alike"
    far = np.mean(np.abs(left - right)[impostors])
    assert far == pytest.approx(100, rel=0.05), "a third of the whole, as of two places at random"


@pytest.mark.parametrize("most", [1, 40, 70, 1000])
def test_pairs_are_drawn_evenly_whatever_their_share(most: int) -> None:
    """19 genuine and 47 impostor pairs, of which few are wanted, most, or all."""
    who, counts = np.repeat([3, 1, 2], [4, 3, 5]), np.zeros((12, 12))
    kinds = np.triu(who[:, None] == who, 1), np.triu(who[:, None] != who, 1)
    for seed in range(2000):
        left, right, sampled = pairs_among(who, most, seed)
        assert (left < right).all()
        counts[left, right] += 1
        assert sampled == (most < 47)
    assert counts.max() <= 2000
    for kind in kinds:
        share = min(1, most / kind.sum())
        assert np.abs(counts[kind] / 2000 - share).max() <= 5 * (share * (1 - share) / 2000) ** 0.5


def test_all_impostor_pairs_are_kept_where_genuine_ones_are_many() -> None:
    """What is counted is pairs of a kind; two people with many images have as many of one as of the other."""
    who = np.repeat([0, 1], 30)
    left, right, sampled = pairs_among(who, most=900)
    assert (len(left), sampled) == (60 * 59 // 2, False)
    left, right, sampled = pairs_among(np.repeat([0, 1], [100, 5]), most=1000)
    assert ((left < 100) & (right >= 100)).sum() == 500, "all of them"
    assert (len(left), sampled) == (1500, True)


def test_the_memory_for_pairs_does_not_grow_with_the_square_of_a_persons_images() -> None:
    peaks = []
    for images in (1000, 8000):
        tracemalloc.start()
        pairs_among(np.repeat([0, 1, 2], images), most=2000)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 16 * peaks[0], "8 times the images, 64 times the pairs"


def test_no_person_is_in_two_folds_with_genuine_pairs() -> None:
    who = np.repeat(np.arange(12), 3)
    left, right, _ = pairs_among(who)
    folds = folds_of(who[left], who[right])
    same = who[left] == who[right]
    for person in range(12):
        assert len(set(folds[same & (who[left] == person)])) == 1
    assert len(set(folds)) > 2


def test_curves_are_drawn() -> None:
    scores, same, _, _ = drawn(10, 3)
    for ending, start in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")):
        file = BytesIO()
        roc_and_det(scores, same, file, charts.kind_of(Path(f"curves{ending.upper()}")), "a title")
        assert file.getvalue().startswith(start)
        assert len(file.getvalue()) > 1000
    with pytest.raises(ValueError, match=r"curves\.doc: a plot is one of \.png"):
        charts.kind_of(Path("curves.doc"))


@pytest.mark.parametrize("each", [300, 30_000])
def test_the_drawn_roc_has_the_tar_of_each_far(each: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one reads it from the steps, whether all points are drawn or some."""
    numbers = np.random.default_rng(0)
    same = np.arange(2 * each) < each
    scores = np.where(same, 2.0, 0.0) + numbers.normal(size=2 * each)
    drawn: list[tuple[np.ndarray, np.ndarray]] = []
    kept = Axes.step

    def step(self: Axes, x: np.ndarray, y: np.ndarray, where: Any) -> object:
        drawn.append((x, y))
        return kept(self, x, y, where=where)

    monkeypatch.setattr(Axes, "step", step)
    roc_and_det(scores, same, BytesIO())
    (far, tar) = drawn[0]
    assert len(far) <= charts.MOST_POINTS
    for wanted in np.geomspace(1.001 / each, 0.5, 60):
        shown = tar[np.searchsorted(far, wanted, side="right") - 1]
        least = tar_at_far(scores, same, wanted / 1.01)  # points are so far apart where they are thinned
        assert least <= shown <= tar_at_far(scores, same, wanted)
