"""Same person or not: what scores of pairs are worth.

A pair is accepted where its score reaches the threshold (score >= threshold), everywhere in this package. Thresholds are
found exactly: of n different scores all n + 1 ways to cut between them are looked at, with one sort and running counts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from marginface.evaluation.statistics import wilson

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Verification:
    """Accuracy over folds, each judged with the threshold that was best on the other folds.

    accuracy, std: mean and population standard deviation of `per_fold`, as the public evaluation codes report them.
    per_fold, thresholds: (F,) float64, in the order of the fold numbers.
    interval: the 95 % Wilson interval of the share of `correct`: what this many pairs can tell.
    correct: (P,) bool, whether a pair was judged rightly; two runs on the same pairs are compared by it.
    """

    accuracy: float
    std: float
    per_fold: Floats
    thresholds: Floats
    interval: tuple[float, float]
    correct: Bools


@dataclass(frozen=True)
class ROC:
    """All operating points: `far`, `tar`, `thresholds`, each (K,) float64, from nothing accepted to everything."""

    far: Floats
    tar: Floats
    thresholds: Floats


def kfold_accuracy(scores: ArrayLike, same: ArrayLike, folds: int | ArrayLike = 10) -> Verification:
    """Verification accuracy as LFW's protocol has it: the threshold of a fold comes from the other folds.

    Arguments: scores (P,) float, higher is more alike; same (P,) bool; folds: how many blocks of consecutive pairs, as in
        the public evaluation codes, or the protocol's own fold number of every pair, (P,) int. A protocol that tests on
        folds 6–10 alone passes the pairs of these folds and their numbers.
    Raises: ValueError for shapes that differ, scores that are not finite, pairs of one kind only, also among the pairs
        that a fold's threshold comes from, and folds that do not divide the pairs in at least two.
    """
    values, truth = _pairs(scores, same)
    names, fold = np.unique(fold_numbers(folds, len(values)), return_inverse=True)
    order = np.argsort(values, kind="stable")
    thresholds = np.empty(len(names))
    for f, name in enumerate(names):
        others = order[fold[order] != f]
        if truth[others].all() or not truth[others].any():
            raise ValueError(f"the pairs outside fold {name} need both genuine and impostor pairs to choose a threshold from")
        thresholds[f] = _best_cut(values[others], truth[others])
    return _verification((values >= thresholds[fold]) == truth, fold, thresholds)


def best_threshold(scores: ArrayLike, same: ArrayLike) -> float:
    """The threshold with the most correct decisions on these pairs, to be used on others: `accuracy_at`.

    Of several equally good gaps between scores the widest counts (of equally wide ones the lowest), and in it the middle:
    there a new pair has the most room on either side, and neither the order of pairs nor a grid has a say.
    """
    values, truth = _pairs(scores, same)
    order = np.argsort(values, kind="stable")
    return _best_cut(values[order], truth[order])


def accuracy_at(scores: ArrayLike, same: ArrayLike, threshold: float) -> float:
    """The share of correct decisions with a threshold that came from elsewhere."""
    values, truth = _pairs(scores, same)
    if not np.isfinite(threshold):
        raise ValueError(f"threshold must be finite, not {threshold}")
    return float(np.mean((values >= threshold) == truth))


def tar_at_far(scores: ArrayLike, same: ArrayLike, far: float) -> float:
    """The largest share of accepted genuine pairs while no more than the share `far` of impostor pairs is accepted.

    Exact: no interpolation. With fewer than 1/far impostor pairs this is the rate at which none of them is accepted.
    """
    values, truth = _pairs(scores, same)
    return float(np.mean(values[truth] > far_threshold(values, truth, far)))


def far_threshold(scores: ArrayLike, same: ArrayLike, far: float) -> float:
    """The score that a pair must exceed while no more than the share `far` of impostor pairs does; -∞ where all may."""
    values, truth = _pairs(scores, same)
    impostors = values[~truth]
    allowed = impostors_allowed(far, len(impostors))
    if allowed == len(impostors):
        return -np.inf
    place = len(impostors) - 1 - allowed
    return float(np.partition(impostors, place)[place])  # the first impostor that must stay out, and all that tie with it


def impostors_allowed(far: float, impostors: int) -> int:
    """The largest count k with k / impostors <= far."""
    if not 0 <= far <= 1:
        raise ValueError(f"far must lie in [0, 1], not {far}")
    count = int(far * impostors)  # off by one where the product is rounded: 0.29 · 100 is 28.999…
    return count + 1 if count < impostors and (count + 1) / impostors <= far else count


def roc(scores: ArrayLike, same: ArrayLike) -> ROC:
    """The receiver operating characteristic with every threshold that changes a decision."""
    values, truth = _pairs(scores, same)
    order = np.argsort(-values, kind="stable")
    descending, genuine = values[order], np.cumsum(truth[order])
    last = np.append(np.flatnonzero(np.diff(descending)), len(values) - 1)  # the last of equal scores
    accepted, tar = last + 1 - genuine[last], genuine[last] / genuine[-1]
    far = accepted / accepted[-1]
    nothing = np.nextafter(descending[0], np.inf)
    return ROC(np.append(0.0, far), np.append(0.0, tar), np.append(nothing, descending[last]))


def eer(scores: ArrayLike, same: ArrayLike) -> float:
    """The equal error rate: where FAR = 1 - TAR on the straight lines between the points of the ROC."""
    curve = roc(scores, same)
    excess = curve.far + curve.tar - 1
    i = int(np.argmax(excess >= 0))
    share = excess[i - 1] / (excess[i - 1] - excess[i])
    return float(curve.far[i - 1] + share * (curve.far[i] - curve.far[i - 1]))


def unit(embeddings: ArrayLike, name: str = "embeddings") -> NDArray[np.floating]:
    """Embeddings (N, d) at length 1; float64 stays, all else becomes float32.

    Raises: ValueError for another shape, and for a row that is not finite or has length zero, naming the row.
    """
    vectors, lengths = _lengths(embeddings, name)
    return vectors / lengths[:, None]


def mirrored(embeddings: ArrayLike, flipped: ArrayLike) -> NDArray[np.floating]:
    """One embedding from an image's and its mirror image's, (N, d) each: their sum, then length 1, as the public codes do."""
    left, right = _like(embeddings, flipped, "embeddings", "flipped")
    return unit(left + right, "embeddings + flipped")


def pair_scores(left: ArrayLike, right: ArrayLike) -> Floats:
    """Cosines of embeddings (P, d) with their partners (P, d): (P,) float64 in [-1, 1]."""
    _like(left, right, "left", "right")
    (first, first_lengths), (second, second_lengths) = _lengths(left, "left"), _lengths(right, "right")
    products = np.einsum("pd,pd->p", first, second, dtype=np.float64)
    return np.clip(products / first_lengths / second_lengths, -1, 1)


def fold_numbers(folds: int | ArrayLike, pairs: int) -> NDArray[np.integer]:
    """The fold of every pair, (P,): given, or `folds` blocks of consecutive pairs, the first of them longer by one."""
    given = np.asarray(folds)
    if not np.issubdtype(given.dtype, np.integer):
        raise ValueError(f"folds must be whole numbers, not {given.dtype}")
    if given.ndim == 0:
        count = int(given)
        if not 2 <= count <= pairs:
            raise ValueError(f"{pairs} pairs cannot be cut in {count} folds: every fold needs a pair, and two are the least")
        return np.repeat(np.arange(count), [pairs // count + (f < pairs % count) for f in range(count)])
    if given.shape != (pairs,):
        raise ValueError(f"folds must be a number or one number for each of {pairs} pairs, not {given.shape}")
    if given.min() == given.max():
        raise ValueError(f"all pairs are in fold {given[0]}: a threshold must come from other folds")
    return given


def insightface_accuracy(left: ArrayLike, right: ArrayLike, same: ArrayLike, folds: int | ArrayLike = 10) -> Verification:
    """`kfold_accuracy` as InsightFace's public code has it: the first best of 400 thresholds on the squared distance.

    Arguments: left, right (P, d) embeddings, as they are: the public code normalises before. `thresholds` are squared
        distances; a pair is accepted below.
    """
    distances, truth = _distances(left, right, same)
    fold = np.unique(fold_numbers(folds, len(truth)), return_inverse=True)[1]
    grid = np.arange(0, 4, 0.01)
    genuine, impostors = _accepted(distances, truth, fold, grid)
    rights = genuine - impostors  # up to a constant
    thresholds = grid[np.argmax(rights.sum(axis=0) - rights, axis=1)]
    return _verification((distances < thresholds[fold]) == truth, fold, thresholds)


def insightface_roc(left: ArrayLike, right: ArrayLike, same: ArrayLike, folds: int | ArrayLike = 10) -> ROC:
    """InsightFace's curve: rates at its 400 squared distances (in `thresholds`), averaged over folds."""
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


def _pairs(scores: ArrayLike, same: ArrayLike) -> tuple[Floats, Bools]:
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(same)
    if values.ndim != 1 or values.shape != truth.shape:
        raise ValueError(f"scores and same must both be (P,), not {values.shape} and {truth.shape}")
    if not np.isfinite(values).all():
        bad = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(f"scores must be finite; pair {bad} has {values[bad]}")
    return values, _truth(truth)


def _truth(same: NDArray) -> Bools:
    if same.dtype != np.bool_ and not np.isin(same, (0, 1)).all():
        raise ValueError(f"same must be bool, not {same.dtype}")
    truth = same.astype(np.bool_)
    if not truth.any() or truth.all():
        raise ValueError(f"need genuine and impostor pairs, not {truth.sum()} and {(~truth).sum()}")
    return truth


def _best_cut(scores: Floats, same: Bools) -> float:
    """The best threshold of pairs in ascending order of their scores; `best_threshold` states the rule."""
    genuine_below = np.append(0, np.cumsum(same))
    rights = np.arange(len(scores) + 1) - 2 * genuine_below  # up to a constant
    rights[1:-1][scores[1:] == scores[:-1]] = -len(scores) - 1  # no cut between equal scores
    best = np.flatnonzero(rights == rights.max())
    bounds = np.concatenate([scores[:1], scores, [np.nextafter(scores[-1], np.inf)]])
    cut = best[np.argmax(bounds[best + 1] / 2 - bounds[best] / 2)]  # halves cannot overflow
    lower, upper = float(bounds[cut]), float(bounds[cut + 1])
    middle = lower / 2 + upper / 2
    return middle if lower < middle <= upper else upper  # neighbouring floats have no middle


def _verification(correct: Bools, fold: NDArray, thresholds: Floats) -> Verification:
    per_fold = np.bincount(fold, correct) / np.bincount(fold)
    interval = wilson(int(correct.sum()), len(correct))
    return Verification(float(per_fold.mean()), float(per_fold.std()), per_fold, thresholds, interval, correct)


def _lengths(embeddings: ArrayLike, name: str) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Embeddings as `unit` takes them, with the lengths that it divides by."""
    vectors = np.asarray(embeddings)
    if vectors.ndim != 2 or 0 in vectors.shape:
        raise ValueError(f"{name} must be (N, d), not {vectors.shape}")
    vectors = vectors.astype(np.float64 if vectors.dtype == np.float64 else np.float32, copy=False)
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64)).astype(vectors.dtype)
    bad = np.flatnonzero(~(np.isfinite(lengths) & (lengths >= np.finfo(vectors.dtype).tiny)))
    if len(bad):
        raise ValueError(f"{name} must be finite and longer than zero; row {bad[0]} has length {lengths[bad[0]]}")
    return vectors, lengths


def _like(left: ArrayLike, right: ArrayLike, left_name: str, right_name: str) -> tuple[NDArray, NDArray]:
    first, second = np.asarray(left), np.asarray(right)
    if first.ndim != 2 or first.shape != second.shape:
        raise ValueError(f"{left_name} and {right_name} must both be (P, d), not {first.shape} and {second.shape}")
    return first, second


def _distances(left: ArrayLike, right: ArrayLike, same: ArrayLike) -> tuple[Floats, Bools]:
    first, second = _like(left, right, "left", "right")
    distances = np.empty(len(first))
    with np.errstate(over="ignore", invalid="ignore"):  # not finite is found next
        for start in range(0, len(first), 256):  # a block stays in the processor's cache
            block = slice(start, start + 256)
            distances[block] = np.sum(np.square(first[block].astype(np.float64) - second[block]), axis=1)
    return _pairs(distances, same)


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
