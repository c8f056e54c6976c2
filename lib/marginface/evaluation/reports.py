"""What pairs of images say of a network, with intervals over people drawn anew: the numbers that people ask for, at once.

A pair hangs on the people who are in it: drawn anew are people, and a pair counts as often as its people were drawn, which for
an impostor pair is the product. Where nobody knows who is on an image, pairs are drawn anew, and intervals are too narrow.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from marginface.evaluation.curves import auc, eer, equal_error, last_of_equal
from marginface.evaluation.scores import TIE, Bools, Floats, above, pairs_of
from marginface.evaluation.statistics import wilson
from marginface.evaluation.verification import FoldsError, Verification, far_threshold, impostors_allowed, kfold_accuracy

FARS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
RESAMPLES = 500
MOST_PAIRS = 2_000_000  # of one kind, of all that a set of people has
Ints = NDArray[np.int64]
Told = Callable[[int], object]


@dataclass(frozen=True)
class Range:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Point:
    """An operating point: the least score that no more than the share `far` of impostor pairs reaches, and what reaches it.

    let_through: how many impostor pairs that allows. With none, the FAR means nothing here: `needed` pairs let one through.
    """

    far: float
    threshold: Range
    tar: Range
    let_through: int
    needed: int


@dataclass(frozen=True)
class PairReport:
    """What scores of pairs are worth.

    accuracy: the share of pairs judged rightly, each with the threshold that is best on other folds; the mean over folds, which
        protocols have, is the same where folds are equally large. None where nobody asked for it or folds cannot be made:
        `no_accuracy` says why. accuracy_std: the standard deviation between folds, NaN without them.
    failed: pairs of which an image could not be enrolled, which count as not the same. people: how many the intervals are
        over, 0 where they are over pairs. least_far: the least FAR that lets an impostor pair through. sampled: whether
        pairs are drawn at random from more.
    """

    genuine: int
    impostors: int
    failed: int
    people: int
    folds: int
    accuracy: Range | None
    accuracy_std: float
    auc: Range
    eer: Range
    points: tuple[Point, ...]
    least_far: float
    sampled: bool = False
    no_accuracy: str = ""


def report(
    scores: ArrayLike,
    same: ArrayLike,
    left_people: ArrayLike | None = None,
    right_people: ArrayLike | None = None,
    *,
    folds: int | ArrayLike | None = 10,
    failed: ArrayLike | None = None,
    fars: Sequence[float] = FARS,
    sampled: bool = False,
    progress: Told | None = None,
    seed: int = 0,
) -> PairReport:
    """The whole report on P pairs.

    Arguments: scores (P,), higher is more alike; same (P,) bool; left_people, right_people (P,) int, who is on the two images;
        folds: as `kfold_accuracy` takes them, or None for no accuracy; failed (P,) bool: pairs that could not be compared,
        whose scores should be -1; fars: the operating points; progress: is told after each resample, of `RESAMPLES`.
    Raises: ValueError for pairs of one kind only, and what `kfold_accuracy` raises, but not where folds cannot be made.
    """
    values, truth = pairs_of(scores, same)
    verified, no_accuracy = _verified(values, truth, folds)
    draw = _Draw.of(truth, left_people, right_people, seed)
    measures = _Measures(values, truth)
    impostors = int((~truth).sum())
    shown = [far for far in fars if 1 <= impostors_allowed(far, impostors) < impostors]
    drawn: list[list[float]] = []
    for _ in range(RESAMPLES):
        weights = draw.weights()
        found = measures.of(weights, shown)
        if found is not None:
            drawn.append([np.nan if verified is None else _share(verified.correct, truth, weights), *found])
        if progress is not None:
            progress(1)
    lows, highs = np.quantile(np.array(drawn), (0.025, 0.975), axis=0) if drawn else (np.full(99, np.nan),) * 2
    accuracy = None
    if verified is not None:
        interval = (float(lows[0]), float(highs[0])) if draw.people else wilson(int(verified.correct.sum()), len(values))
        accuracy = Range(float(verified.correct.mean()), *interval)
    return PairReport(
        genuine=int(truth.sum()),
        impostors=impostors,
        failed=0 if failed is None else int(np.count_nonzero(failed)),
        people=draw.people,
        folds=0 if verified is None else len(verified.per_fold),
        accuracy=accuracy,
        accuracy_std=np.nan if verified is None else verified.std,
        auc=Range(auc(values, truth), float(lows[1]), float(highs[1])),
        eer=Range(eer(values, truth), float(lows[2]), float(highs[2])),
        points=tuple(_points(values, truth, fars, shown, lows[3:], highs[3:])),
        least_far=1 / impostors,
        sampled=sampled,
        no_accuracy=no_accuracy,
    )


def _verified(scores: Floats, same: Bools, folds: int | ArrayLike | None) -> tuple[Verification | None, str]:
    """Decisions by folds, or why there are none."""
    if folds is None:
        return None, "nobody asked for it"
    try:
        return kfold_accuracy(scores, same, folds), ""
    except FoldsError as error:
        return None, str(error)


def _points(
    scores: Floats, same: Bools, fars: Sequence[float], shown: Sequence[float], lows: Floats, highs: Floats
) -> list[Point]:
    impostors = int((~same).sum())
    found = []
    for far in fars:
        threshold = far_threshold(scores, same, far, TIE)
        tar = float(np.mean(scores[same] >= threshold))
        nothing = (np.nan, np.nan)
        i = shown.index(far) if far in shown else None
        of_tar, of_threshold = (
            ((nothing,) * 2) if i is None else [(float(lows[2 * i + k]), float(highs[2 * i + k])) for k in (0, 1)]
        )
        found.append(
            Point(far, Range(threshold, *of_threshold), Range(tar, *of_tar), impostors_allowed(far, impostors), round(1 / far))
        )
    return found


@dataclass(frozen=True, eq=False)
class _Draw:
    """People, or where nobody knows them pairs, drawn anew: how often each of P pairs counts."""

    same: Bools
    left: Ints
    right: Ints
    people: int
    numbers: np.random.Generator

    @classmethod
    def of(cls, same: Bools, left: ArrayLike | None, right: ArrayLike | None, seed: int) -> "_Draw":
        numbers = np.random.default_rng(seed)
        if left is None or right is None:
            place = np.arange(len(same))
            return cls(same, place, place, 0, numbers)
        both = np.concatenate([np.asarray(left), np.asarray(right)])
        if both.shape != (2 * len(same),):
            raise ValueError(f"left_people and right_people must be ({len(same)},), not {np.shape(left)} and {np.shape(right)}")
        names, who = np.unique(both, return_inverse=True)
        return cls(same, who[: len(same)], who[len(same) :], len(names), numbers)

    def weights(self) -> NDArray[np.int64]:
        count = self.people or len(self.same)
        times = np.bincount(self.numbers.integers(0, count, count), minlength=count)
        if not self.people:
            return times
        return times[self.left] * np.where(self.same, 1, times[self.right])


def _share(correct: Bools, same: Bools, weights: NDArray[np.int64]) -> float:
    """The share of correct decisions by weights, where pairs of either kind keep their share of all.

    Without that pairs of two people would count less than in the test: somebody drawn twice makes no pair with himself.
    """
    kinds = [float(np.average(correct[kind], weights=weights[kind])) for kind in (same, ~same)]
    return float(np.average(kinds, weights=[same.sum(), (~same).sum()]))


class _Measures:
    """AUC, EER, TAR and threshold of P pairs that count more often or less, defined as those of `curves` and `verification`."""

    def __init__(self, scores: Floats, same: Bools) -> None:
        self.order = np.argsort(-scores, kind="stable")
        self.same, descending = same[self.order], scores[self.order]
        self.last = last_of_equal(descending)  # who reaches one of equal scores reaches all, whatever their order
        self.thresholds = descending[self.last]

    def of(self, weights: NDArray[np.int64], fars: Sequence[float]) -> list[float] | None:
        """AUC, EER and for each FAR below 1 TAR and threshold, by weights (P,); None where pairs of one kind count only."""
        w = weights[self.order]
        genuine, impostors = (np.append(0, np.cumsum(w * kind)[self.last]) for kind in (self.same, ~self.same))
        if not genuine[-1] or not impostors[-1]:
            return None
        tar, far = genuine / genuine[-1], impostors / impostors[-1]
        found = [float(np.sum((tar[1:] + tar[:-1]) * np.diff(far)) / 2), equal_error(far, tar)]
        for wanted in fars:
            out = int(np.searchsorted(far, wanted, side="right")) - 1  # the first score that has to stay out
            threshold = above(float(self.thresholds[out]), TIE)
            found += [float(tar[np.searchsorted(-self.thresholds, -threshold, side="right")]), threshold]
        return found


def pairs_among(people: ArrayLike, most: int = MOST_PAIRS, seed: int = 0) -> tuple[Ints, Ints, bool]:
    """All pairs of M images of people (M,) int: places of the left and the right image (P,) int64; whether some are missing.

    Where there are more than `most` impostor pairs, so many are drawn at random, each as likely as any other; and genuine ones
    likewise.
    """
    who = np.asarray(people)
    count, numbers = len(who), np.random.default_rng(seed)
    order = np.argsort(who, kind="stable")
    ends = np.searchsorted(who[order], who[order], side="right")  # where the next person's images begin
    genuine = _Partners(np.arange(1, count + 1), ends)
    impostors = _Partners(ends, np.full(count, count))
    if max(genuine.total, impostors.total) <= most:
        left, right = np.triu_indices(count, 1)
        return left, right, False
    drawn = [kind.pairs(_different(numbers, kind.total, most)) for kind in (genuine, impostors)]
    one, other = order[np.concatenate(drawn, axis=1)]
    return np.minimum(one, other), np.maximum(one, other), True


class _Partners:
    """Pairs in a row, without a list of them: image i of M has those from `starts[i]` to before `ends[i]` for partners."""

    def __init__(self, starts: Ints, ends: Ints) -> None:
        self.starts, self.before = starts, np.append(0, np.cumsum(ends - starts))
        self.total = int(self.before[-1])

    def pairs(self, which: Ints) -> Ints:
        """The pairs of these numbers (P,), as (2, P)."""
        image = np.searchsorted(self.before, which, side="right") - 1
        return np.stack([image, self.starts[image] + which - self.before[image]])


def _different(numbers: np.random.Generator, count: int, most: int) -> Ints:
    """`most` different numbers below `count`, or all where there are no more, ascending; memory grows with `most` alone."""
    if count <= most:
        return np.arange(count)
    if count <= 4 * most:
        return np.sort(numbers.permutation(count)[:most])
    found = np.unique(numbers.integers(0, count, 2 * most))
    while len(found) < most:
        found = np.unique(np.append(found, numbers.integers(0, count, most)))
    return np.sort(numbers.permutation(found)[:most])


def folds_of(left_people: ArrayLike, right_people: ArrayLike, folds: int = 10) -> Ints:
    """A fold for each pair (P,), by its left image's person, so that no fold has another's genuine pairs."""
    names, who = np.unique(np.concatenate([np.asarray(left_people), np.asarray(right_people)]), return_inverse=True)
    return (np.arange(len(names)) % min(folds, max(2, len(names) // 2)))[who[: len(np.asarray(left_people))]]
