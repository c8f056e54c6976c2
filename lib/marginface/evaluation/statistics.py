"""How sure one can be of a number."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special


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

    Raises: ValueError for no values, values that are not finite, or a confidence outside (0, 1).
    """
    _share(confidence, "confidence")
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or len(sample) == 0 or not np.isfinite(sample).all():
        raise ValueError(f"need a list of at least one finite value, not {values!r}")
    mean = float(sample.mean())
    if len(sample) == 1:
        return Estimate(mean, np.nan, np.nan, np.nan, 1)
    std = float(sample.std(ddof=1))
    half = float(special.stdtrit(len(sample) - 1, (1 + confidence) / 2)) * std / len(sample) ** 0.5
    return Estimate(mean, std, mean - half, mean + half, len(sample))


def paired_difference(treated: Sequence[float], base: Sequence[float], confidence: float = 0.95) -> Estimate:
    """The estimate of treated - base over runs that share their seed.

    Raises: ValueError where the two are not equally long.
    """
    if len(treated) != len(base):
        raise ValueError(f"paired runs must be equally many, not {len(treated)} and {len(base)}")
    return estimate(np.subtract(treated, base).tolist(), confidence)


def wilson(correct: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """The Wilson interval of a proportion: what a test set of `total` samples can tell about an accuracy.

    Raises: ValueError unless 0 <= correct <= total, total is at least 1 and the confidence in (0, 1).
    """
    _share(confidence, "confidence")
    if not 0 <= correct <= total or total < 1:
        raise ValueError(f"need 0 <= correct <= total and a total of at least 1, not {correct} of {total}")
    z2, share = special.ndtri((1 + confidence) / 2) ** 2, correct / total
    middle = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = (z2 * (share * (1 - share) + z2 / (4 * total)) / total) ** 0.5 / (1 + z2 / total)
    return float(max(middle - half, 0.0)) if correct else 0.0, float(min(middle + half, 1.0)) if correct < total else 1.0


@dataclass(frozen=True)
class McNemar:
    """Pairs that only the first, only the second judged rightly, and the two-sided exact p-value."""

    only_first: int
    only_second: int
    p_value: float


def mcnemar(first: ArrayLike, second: ArrayLike) -> McNemar:
    """McNemar's exact test: do two models that judged the same pairs, (P,) bool each, err equally often?

    Only pairs on which they differ tell anything: under the hypothesis each of these is a fair coin's throw.
    """
    a, b = _decisions(first, "first"), _decisions(second, "second")
    if a.shape != b.shape or len(a) != 1:
        raise ValueError(f"first and second must both be (P,), not {np.shape(first)} and {np.shape(second)}")
    only_first, only_second = int((a & ~b).sum()), int((b & ~a).sum())
    fewer, differing = min(only_first, only_second), only_first + only_second
    p_value = min(2 * special.bdtr(fewer, differing, 0.5), 1.0) if differing else 1.0
    return McNemar(only_first, only_second, float(p_value))


@dataclass(frozen=True)
class Bootstrap:
    """A difference with its percentile interval."""

    difference: float
    low: float
    high: float


def paired_bootstrap(
    first: ArrayLike, second: ArrayLike, resamples: int = 10_000, seed: int = 0, confidence: float = 0.95
) -> Bootstrap:
    """How much more often the first is right than the second, over pairs drawn anew: what other pairs might have shown.

    Seeds are averaged first, so the interval speaks of the pairs and not of the seeds; `paired_difference` does that.

    Arguments: first, second: decisions on the same pairs, (P,) or (runs, P) bool; the runs need not be equally many.
    """
    a, b = _decisions(first, "first"), _decisions(second, "second")
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"first and second must judge the same pairs, not {a.shape[1]} and {b.shape[1]}")
    _share(confidence, "confidence")
    if resamples < 1:
        raise ValueError(f"need resamples >= 1, not {resamples}")
    differences, counts = np.unique(a.mean(axis=0) - b.mean(axis=0), return_counts=True)
    pairs = a.shape[1]  # drawing pairs is drawing how often each of the few differences comes up
    drawn = np.random.default_rng(seed).multinomial(pairs, counts / pairs, size=resamples) @ differences / pairs
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Bootstrap(float(differences @ counts / pairs), float(low), float(high))


@dataclass(frozen=True)
class Friedman:
    """Mean ranks (M,) of methods, 1 is best; two differ where their ranks are `critical_difference` apart (Nemenyi)."""

    mean_ranks: NDArray[np.float64]
    statistic: float
    p_value: float
    critical_difference: float


def friedman(scores: ArrayLike, alpha: float = 0.05) -> Friedman:
    """Friedman's test over benchmarks, corrected for ties, and Nemenyi's critical difference (Demšar 2006).

    Arguments: scores (B, M), a row a benchmark, higher is better, of at least three methods.
    """
    table = _table(scores)
    benchmarks, methods = table.shape
    _share(alpha, "alpha")
    if benchmarks < 2 or methods < 3:
        raise ValueError(f"need two benchmarks and three methods, not {table.shape}")
    if (table == table[:, :1]).all():
        raise ValueError("every benchmark ties all methods: there is nothing to rank")
    from scipy import stats  # here, since it takes longer to load than anything else

    test = stats.friedmanchisquare(*table.T)
    q = stats.studentized_range.ppf(1 - alpha, methods, np.inf) / 2**0.5
    difference = q * (methods * (methods + 1) / (6 * benchmarks)) ** 0.5
    ranks = stats.rankdata(-table, axis=1).mean(axis=0)
    return Friedman(ranks, float(test.statistic), float(test.pvalue), float(difference))


def borda(scores: ArrayLike, ties: Literal["min", "max", "average", "dense"] = "min") -> NDArray[np.float64]:
    """Points of each method on each benchmark, (B, M): 1 for the worst of a row, M for the best; sum over rows to count.

    Arguments: scores (B, M), a row a benchmark, higher is better; ties: methods that tie get the points of the lowest of
        their places (InterFace Tables III–V), the highest (its Table I), their mean, or places without gaps.
    """
    if ties not in ("min", "max", "average", "dense"):
        raise ValueError(f'ties must be "min", "max", "average" or "dense", not {ties!r}')
    table = _table(scores)
    if ties == "dense":
        return np.stack([np.unique(row, return_inverse=True)[1] + 1.0 for row in table])
    lowest = (table[:, :, None] > table[:, None, :]).sum(axis=2) + 1.0
    highest = (table[:, :, None] >= table[:, None, :]).sum(axis=2)
    return {"min": lowest, "max": highest + 0.0, "average": (lowest + highest) / 2}[ties]


@dataclass(frozen=True)
class Equivalence:
    """The larger p-value of the two one-sided tests, and whether it shows the mean to lie within the margin."""

    mean: float
    margin: float
    p_value: float
    equivalent: bool


def equivalence(differences: Sequence[float], margin: float, alpha: float = 0.05) -> Equivalence:
    """Two one-sided t-tests: is the mean of paired differences shown to lie within ±margin? (Schuirmann 1987)

    No significant difference is not yet equivalence: few runs show neither.

    Raises: ValueError for fewer than two differences, values that are not finite, a margin that is not positive, or an alpha
        outside (0, 1).
    """
    _share(alpha, "alpha")
    sample = estimate(differences)
    if sample.runs < 2 or not 0 < margin < np.inf:
        raise ValueError(f"need at least two differences and a positive margin, not {sample.runs} and {margin}")
    error = sample.std / sample.runs**0.5
    if error == 0:
        p_value = 0.0 if abs(sample.mean) < margin else 1.0
    else:
        p_value = float(special.stdtr(sample.runs - 1, -(margin - abs(sample.mean)) / error))
    return Equivalence(sample.mean, margin, p_value, p_value < alpha)


def _share(value: float, name: str) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie in (0, 1), not {value}")


def _decisions(correct: ArrayLike, name: str) -> NDArray[np.bool_]:
    """(runs, P)"""
    given = np.atleast_2d(correct)
    if given.dtype != np.bool_ or given.ndim != 2 or given.size == 0:
        raise ValueError(f"{name} must be (P,) or (runs, P) bool, not {np.shape(correct)} {given.dtype}")
    return given


def _table(scores: ArrayLike) -> NDArray[np.float64]:
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or table.size == 0 or not np.isfinite(table).all():
        raise ValueError(f"scores must be finite and (benchmarks, methods), not {table.shape}")
    return table
