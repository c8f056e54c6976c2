"""Same person or not: what scores of pairs are worth.

A pair is accepted where its score reaches the threshold (score >= threshold), everywhere in this package but in InsightFace's
own protocol of distances (`insightface_…`), where it is accepted below. Thresholds are found exactly: of n different scores
all n + 1 ways to cut between them are looked at, with one sort and running counts. A threshold that is returned alone is a
number of the scores' own precision, so that scores in float32 compare with it as they were counted.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from marginface.evaluation.curves import DET, ROC, auc, det, eer, roc
from marginface.evaluation.embeddings import mirrored, pair_scores, same_shape, unit
from marginface.evaluation.scores import Bools, Floats, above, pairs_of, precision_of
from marginface.evaluation.statistics import wilson

__all__ = [
    "DET",
    "ROC",
    "FoldsError",
    "Verification",
    "above",
    "accuracy_at",
    "auc",
    "best_threshold",
    "det",
    "eer",
    "far_threshold",
    "fold_numbers",
    "impostors_allowed",
    "insightface_accuracy",
    "insightface_roc",
    "insightface_tar_at_far",
    "kfold_accuracy",
    "mirrored",
    "pair_scores",
    "roc",
    "tar_at_far",
    "unit",
]


class FoldsError(ValueError):
    """Pairs that cannot be cut in folds, each with a threshold from the others: there are too few, or they are too unlike."""


@dataclass(frozen=True)
class Verification:
    """Accuracy over folds, each judged with the threshold that was best on the other folds.

    accuracy, std: mean and population standard deviation of `per_fold`, as the public evaluation codes report them.
    per_fold, thresholds: (F,) float64, in the order of the fold numbers; a pair is accepted where its score reaches its fold's
        threshold (score >= threshold).
    interval: the 95 % Wilson interval of the share of `correct`: what this many pairs can tell.
    correct: (P,) bool, whether a pair was judged rightly; two runs on the same pairs are compared by it.
    """

    accuracy: float
    std: float
    per_fold: Floats
    thresholds: Floats
    interval: tuple[float, float]
    correct: Bools


def kfold_accuracy(scores: ArrayLike, same: ArrayLike, folds: int | ArrayLike = 10) -> Verification:
    """Verification accuracy as LFW's protocol has it: the threshold of a fold comes from the other folds.

    Arguments: scores (P,) float, higher is more alike; same (P,) bool; folds: how many blocks of consecutive pairs, as in
        the public evaluation codes, or the protocol's own fold number of every pair, (P,) int. A protocol that tests on
        folds 6–10 alone passes the pairs of these folds and their numbers.
    Raises: ValueError for shapes that differ, scores that are not finite and pairs of one kind only; its kind FoldsError where
        the pairs that a fold's threshold comes from are of one kind, and where folds do not divide the pairs in at least two.
    """
    values, truth = pairs_of(scores, same)
    names, fold = np.unique(fold_numbers(folds, len(values)), return_inverse=True)
    order = np.argsort(values, kind="stable")
    thresholds = np.empty(len(names))
    for f, name in enumerate(names):
        others = order[fold[order] != f]
        if truth[others].all() or not truth[others].any():
            raise FoldsError(f"the pairs outside fold {name} need both genuine and impostor pairs to choose a threshold from")
        thresholds[f] = _best_cut(values[others], truth[others])
    return _verification((values >= thresholds[fold]) == truth, fold, thresholds)


def best_threshold(scores: ArrayLike, same: ArrayLike) -> float:
    """The threshold with the most correct decisions (accepted is score >= threshold) on these pairs, to be used on others.

    Of several equally good gaps between scores the widest counts (of equally wide ones the lowest), and in it the middle:
    there a new pair has the most room on either side, and neither the order of pairs nor a grid has a say.
    """
    values, truth = pairs_of(scores, same)
    order = np.argsort(values, kind="stable")
    return _best_cut(values[order], truth[order], precision_of(scores))


def accuracy_at(scores: ArrayLike, same: ArrayLike, threshold: float) -> float:
    """The share of correct decisions with a threshold that came from elsewhere; accepted is score >= threshold."""
    values, truth = pairs_of(scores, same)
    if not np.isfinite(threshold):
        raise ValueError(f"threshold must be finite, not {threshold}")
    return float(np.mean((values >= threshold) == truth))


def tar_at_far(scores: ArrayLike, same: ArrayLike, far: float, tie: float = 0.0) -> float:
    """The largest share of accepted genuine pairs while no more than the share `far` of impostor pairs is accepted.

    Exact: no interpolation. With fewer than 1/far impostor pairs this is the rate at which none of them is accepted.
    Accepted is what reaches `far_threshold`, which also states `tie`.
    """
    values, truth = pairs_of(scores, same)
    return float(np.mean(values[truth] >= far_threshold(scores, same, far, tie)))


def far_threshold(scores: ArrayLike, same: ArrayLike, far: float, tie: float = 0.0) -> float:
    """The least threshold that no more than the share `far` of impostor pairs reaches (score >= threshold); -∞ where all may.

    Scores closer than `tie` count as equal, against the genuine pair: it must exceed by more than that the first impostor that
    has to stay out.
    """
    values, truth = pairs_of(scores, same)
    impostors = values[~truth]
    allowed = impostors_allowed(far, len(impostors))
    if allowed == len(impostors):
        return -np.inf
    place = len(impostors) - 1 - allowed  # the first impostor that must stay out, and all that tie with it
    return above(float(np.partition(impostors, place)[place]), tie, precision_of(scores))


def impostors_allowed(far: float, impostors: int, name: str = "far") -> int:
    """The largest count k with k / impostors <= far."""
    if not 0 <= far <= 1:
        raise ValueError(f"{name} must lie in [0, 1], not {far}")
    count = int(far * impostors)  # off by one where the product is rounded: 0.29 · 100 is 28.999…
    return count + 1 if count < impostors and (count + 1) / impostors <= far else count


def fold_numbers(folds: int | ArrayLike, pairs: int) -> NDArray[np.integer]:
    """The fold of every pair, (P,): given, or `folds` blocks of consecutive pairs, the first of them longer by one."""
    given = np.asarray(folds)
    if not np.issubdtype(given.dtype, np.integer):
        raise ValueError(f"folds must be whole numbers, not {given.dtype}")
    if given.ndim == 0:
        count = int(given)
        if not 2 <= count <= pairs:
            raise FoldsError(f"{pairs} pairs cannot be cut in {count} folds: every fold needs a pair, and two are the least")
        return np.repeat(np.arange(count), [pairs // count + (f < pairs % count) for f in range(count)])
    if given.shape != (pairs,):
        raise ValueError(f"folds must be a number or one number for each of {pairs} pairs, not {given.shape}")
    if given.min() == given.max():
        raise FoldsError(f"all pairs are in fold {given[0]}: a threshold must come from other folds")
    return given


def insightface_accuracy(left: ArrayLike, right: ArrayLike, same: ArrayLike, folds: int | ArrayLike = 10) -> Verification:
    """`kfold_accuracy` as InsightFace's public code has it: the first best of 400 thresholds on the squared distance.

    Arguments: left, right (P, d) embeddings, as they are: the public code normalises before. `thresholds` are squared
        distances; a pair is accepted below (distance < threshold).
    """
    distances, truth = _distances(left, right, same)
    fold = np.unique(fold_numbers(folds, len(truth)), return_inverse=True)[1]
    grid = np.arange(0, 4, 0.01)
    genuine, impostors = _accepted(distances, truth, fold, grid)
    rights = genuine - impostors  # up to a constant
    thresholds = grid[np.argmax(rights.sum(axis=0) - rights, axis=1)]
    return _verification((distances < thresholds[fold]) == truth, fold, thresholds)


def insightface_roc(left: ArrayLike, right: ArrayLike, same: ArrayLike, folds: int | ArrayLike = 10) -> ROC:
    """InsightFace's curve: rates below each of its 400 squared distances (in `thresholds`), averaged over folds."""
    distances, truth = _distances(left, right, same)
    fold = np.unique(fold_numbers(folds, len(truth)), return_inverse=True)[1]
    grid = np.arange(0, 4, 0.01)
    genuine, impostors = _accepted(distances, truth, fold, grid)
    tar = _rates(genuine, np.bincount(fold, truth)[:, None])
    far = _rates(impostors, np.bincount(fold, ~truth)[:, None])
    return ROC(far.mean(axis=0), tar.mean(axis=0), grid)


def insightface_tar_at_far(
    left: ArrayLike, right: ArrayLike, same: ArrayLike, far: float = 1e-3, folds: int | ArrayLike = 10
) -> tuple[float, float, float]:
    """InsightFace's TAR at a FAR: its mean over folds, its standard deviation and the mean FAR that was met.

    A fold's threshold is interpolated between 4,000 squared distances to the wanted FAR on the other folds. Where several
    of these have the same FAR, the public code's SciPy call fails today; NumPy's interpolation sets out from the last.
    """
    if not 0 <= far <= 1:
        raise ValueError(f"far must lie in [0, 1], not {far}")
    distances, truth = _distances(left, right, same)
    fold = np.unique(fold_numbers(folds, len(truth)), return_inverse=True)[1]
    grid = np.arange(0, 4, 0.001)
    impostors = _accepted(distances, truth, fold, grid)[1]
    counts = np.bincount(fold, ~truth)
    rates = _rates(impostors.sum(axis=0) - impostors, (counts.sum() - counts)[:, None])
    thresholds = np.array([np.interp(far, row, grid) if row[-1] >= far else 0.0 for row in rates])
    accepted = distances < thresholds[fold]
    tars = _rates(np.bincount(fold, accepted & truth), np.bincount(fold, truth))
    fars = _rates(np.bincount(fold, accepted & ~truth), counts)
    return float(tars.mean()), float(tars.std()), float(fars.mean())


def _best_cut(scores: Floats, same: Bools, precision: Any = np.float64) -> float:
    """The best threshold of pairs in ascending order of their scores; `best_threshold` states the rule."""
    genuine_below = np.append(0, np.cumsum(same))
    rights = np.arange(len(scores) + 1) - 2 * genuine_below  # up to a constant
    rights[1:-1][scores[1:] == scores[:-1]] = -len(scores) - 1  # no cut between equal scores
    best = np.flatnonzero(rights == rights.max())
    bounds = np.concatenate([scores[:1], scores, [above(scores[-1], precision=precision)]])
    cut = best[np.argmax(bounds[best + 1] / 2 - bounds[best] / 2)]  # halves cannot overflow
    lower, upper = float(bounds[cut]), float(bounds[cut + 1])
    middle = float(np.asarray(lower / 2 + upper / 2).astype(precision))
    return middle if lower < middle <= upper else upper  # neighbouring floats have no middle


def _verification(correct: Bools, fold: NDArray, thresholds: Floats) -> Verification:
    per_fold = np.bincount(fold, correct) / np.bincount(fold)
    interval = wilson(int(correct.sum()), len(correct))
    return Verification(float(per_fold.mean()), float(per_fold.std()), per_fold, thresholds, interval, correct)


def _distances(left: ArrayLike, right: ArrayLike, same: ArrayLike) -> tuple[Floats, Bools]:
    first, second = same_shape(left, right, "left", "right")
    distances = np.empty(len(first))
    with np.errstate(over="ignore", invalid="ignore"):  # not finite is found next
        for start in range(0, len(first), 256):  # a block stays in the processor's cache
            block = slice(start, start + 256)
            distances[block] = np.sum(np.square(first[block].astype(np.float64) - second[block]), axis=1)
    return pairs_of(distances, same)


def _accepted(distances: Floats, same: Bools, fold: NDArray, grid: Floats) -> tuple[NDArray, NDArray]:
    """How many genuine and how many impostor pairs of each fold lie below each threshold, (F, T) int64 both."""
    first = np.searchsorted(grid, distances, side="right")  # the first threshold above the distance
    cells = fold * (len(grid) + 1) + first
    shape = (int(fold.max()) + 1, len(grid) + 1)
    counts = [np.bincount(cells[kind], minlength=shape[0] * shape[1]).reshape(shape).cumsum(axis=1) for kind in (same, ~same)]
    return counts[0][:, :-1], counts[1][:, :-1]


def _rates(counts: NDArray, totals: NDArray) -> Floats:
    """Counts over totals, zero where there is nothing to count, as in the public code."""
    return np.divide(counts, totals, out=np.zeros(counts.shape), where=np.broadcast_to(totals, counts.shape) > 0)
