"""How sure one can be of a number."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Estimate:
    """A mean over runs with its standard deviation and 95 % interval; one run has no interval (NaN)."""

    mean: float
    std: float
    low: float
    high: float
    runs: int

    def format(self, spec: str = ".2f") -> str:
        """Mean and interval, such as "99.12 [99.01, 99.23]"."""
        if self.runs == 1:
            return f"{self.mean:{spec}} [one run]"
        return f"{self.mean:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"


def estimate(values: Sequence[float], confidence: float = 0.95) -> Estimate:
    """Mean, sample standard deviation and Student's t interval of independent runs.

    Raises: ValueError for no values or values that are not finite.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or len(sample) == 0 or not np.isfinite(sample).all():
        raise ValueError(f"need a list of at least one finite value, not {values!r}")
    mean = float(sample.mean())
    if len(sample) == 1:
        return Estimate(mean, np.nan, np.nan, np.nan, 1)
    std = float(sample.std(ddof=1))
    half = float(stats.t.ppf((1 + confidence) / 2, len(sample) - 1)) * std / len(sample) ** 0.5
    return Estimate(mean, std, mean - half, mean + half, len(sample))


def paired_difference(treated: Sequence[float], base: Sequence[float], confidence: float = 0.95) -> Estimate:
    """The estimate of treated - base over runs that share their seed.

    Raises: ValueError where the two are not equally long.
    """
    if len(treated) != len(base):
        raise ValueError(f"paired runs must be equally many, not {len(treated)} and {len(base)}")
    return estimate(np.subtract(treated, base).tolist(), confidence)


def wilson(correct: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """The Wilson interval of a proportion: what a test set of `total` samples can tell about an accuracy."""
    interval = stats.binomtest(correct, total).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)
