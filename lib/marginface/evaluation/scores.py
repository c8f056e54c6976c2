"""Scores of pairs and their answers, checked; and thresholds between scores."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

TIE = 5e-7  # what two float32 products of the same unit vectors can differ by, as their sums are taken in another order


def pairs_of(scores: ArrayLike, same: ArrayLike) -> tuple[Floats, Bools]:
    """Scores (P,) as float64 and answers (P,) as bool. Raises: ValueError naming what is wrong; one kind of pairs alone is."""
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(same)
    if values.ndim != 1 or values.shape != truth.shape:
        raise ValueError(f"scores and same must both be (P,), not {values.shape} and {truth.shape}")
    if not np.isfinite(values).all():
        bad = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(f"scores must be finite; pair {bad} has {values[bad]}")
    return values, _answers(truth)


def _answers(same: NDArray) -> Bools:
    if same.dtype != np.bool_ and not np.isin(same, (0, 1)).all():
        raise ValueError(f"same must be bool, not {same.dtype}")
    truth = same.astype(np.bool_)
    if not truth.any() or truth.all():
        raise ValueError(f"need genuine and impostor pairs, not {truth.sum()} and {(~truth).sum()}")
    return truth


def precision_of(scores: ArrayLike) -> Any:
    """The type that scores compare in: their own where it is floating."""
    kind = np.asarray(scores).dtype
    return kind if np.issubdtype(kind, np.floating) and kind.itemsize <= 8 else np.dtype(np.float64)


def above(score: float, tie: float = 0.0, precision: Any = np.float64) -> float:
    """The least threshold t that a score has to reach to exceed another by more than `tie`: t - tie > score, as rounded."""
    kind = np.dtype(precision).type
    if not 0 <= tie < np.inf:
        raise ValueError(f"tie must be a number from 0 on, not {tie}")
    low, step, half = kind(score), kind(tie), kind(0.5)
    high = np.nextafter(low, kind(np.inf))
    while not high - step > low:
        high = np.nextafter(high + step, kind(np.inf))
    while low < (middle := half * low + half * high) < high:
        low, high = (low, middle) if middle - step > kind(score) else (middle, high)
    return float(high)
