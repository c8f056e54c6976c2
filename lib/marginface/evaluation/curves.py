"""What pairs are worth at every threshold: ROC and DET, the area under the one and the equal error rate."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from marginface.evaluation.scores import Floats, above, pairs_of, precision_of


@dataclass(frozen=True)
class ROC:
    """All operating points: `far`, `tar`, `thresholds`, each (K,) float64, from nothing accepted to everything.

    Each rate is the share of scores that reach the threshold: score >= threshold.
    """

    far: Floats
    tar: Floats
    thresholds: Floats


@dataclass(frozen=True)
class DET:
    """The same points by their errors: `far`, `frr` = 1 - TAR, `thresholds`, each (K,) float64.

    `frr` is the share of genuine pairs whose score does not reach the threshold: score < threshold.
    """

    far: Floats
    frr: Floats
    thresholds: Floats


def roc(scores: ArrayLike, same: ArrayLike) -> ROC:
    """The receiver operating characteristic with every threshold that changes a decision (accepted is score >= threshold)."""
    genuine, impostors, thresholds = _accepted_at(scores, same)
    return ROC(impostors / impostors[-1], genuine / genuine[-1], thresholds)


def det(scores: ArrayLike, same: ArrayLike) -> DET:
    """The detection error tradeoff: `roc` by its errors, FRR over FAR, for axes of probits or logarithms."""
    genuine, impostors, thresholds = _accepted_at(scores, same)
    return DET(impostors / impostors[-1], (genuine[-1] - genuine) / genuine[-1], thresholds)


def auc(scores: ArrayLike, same: ArrayLike) -> float:
    """The area under the ROC: how often a genuine pair has the higher score than an impostor pair; equal scores count half."""
    from scipy import stats

    values, truth = pairs_of(scores, same)
    genuine = int(truth.sum())
    above_and_half = stats.rankdata(values)[truth].sum() - genuine * (genuine + 1) / 2
    return float(above_and_half / genuine / (len(values) - genuine))


def _accepted_at(scores: ArrayLike, same: ArrayLike) -> tuple[NDArray, NDArray, Floats]:
    """How many genuine and impostor pairs reach each threshold, from none to all: (K,) int64 both, and the thresholds (K,)."""
    values, truth = pairs_of(scores, same)
    order = np.argsort(-values, kind="stable")
    descending, genuine = values[order], np.cumsum(truth[order])
    last = last_of_equal(descending)
    nothing = above(descending[0], precision=precision_of(scores))
    return (
        np.append(0, genuine[last]),
        np.append(0, last + 1 - genuine[last]),
        np.append(nothing, descending[last]),
    )


def last_of_equal(ordered: NDArray) -> NDArray[np.int64]:
    """The place of the last of equal numbers, of each that occurs in an ordered list."""
    return np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)


def eer(scores: ArrayLike, same: ArrayLike) -> float:
    """The equal error rate: where FAR = 1 - TAR on the straight lines between the points of the ROC."""
    curve = roc(scores, same)
    return equal_error(curve.far, curve.tar)


def equal_error(far: Floats, tar: Floats) -> float:
    """`eer` of the points (K,) of a ROC, from nothing accepted to everything."""
    excess = far + tar - 1
    i = int(np.argmax(excess >= 0))
    share = excess[i - 1] / (excess[i - 1] - excess[i])
    return float(far[i - 1] + share * (far[i] - far[i - 1]))
