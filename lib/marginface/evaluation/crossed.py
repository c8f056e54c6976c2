"""How sure one can be of a difference between trainings when both could have been others: the seeds, and the people tested.

Every run of a table is tested on the same people, so that seeds and people are crossed. The variance of a contrast of rows is
the sum of two parts. That of the seeds, pooled over rows and divided by their number, is what another draw of seeds would
change on these people; that of the people is what other people would change for ever so many seeds. The second is estimated
from products of *different* seeds alone: what is peculiar to one network on one person is in the first already.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]

POWER = 0.8
ROUNDING = 1e-12
MOST_SEEDS = 1000  # nobody would train more


@dataclass(frozen=True)
class Contrast:
    """A difference of logarithms, the variances that it has from its seeds and its people, and their degrees of freedom.

    `seeds` is that of the mean over the `runs` of a row; NaN for a single run. `people` is 0 where it is not known.
    """

    mean: float
    seeds: float
    people: float
    seeds_freedom: float
    people_freedom: float
    runs: int

    @property
    def error(self) -> float:
        """The standard error."""
        return float((self.seeds + self.people) ** 0.5)

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the sum of both variances (Satterthwaite 1946)."""
        parts = [(self.seeds, self.seeds_freedom), (self.people, self.people_freedom)]
        spread = sum(variance**2 / freedom for variance, freedom in parts if variance > 0)
        return (self.seeds + self.people) ** 2 / spread if spread else self.seeds_freedom

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Student's interval; NaN for a single run."""
        half = float(special.stdtrit(self.freedom, (1 + confidence) / 2)) * self.error if self.runs > 1 else np.nan
        return self.mean - half, self.mean + half

    def above(self, value: float) -> float:
        """The p-value of the test of "it is no larger than the value", against "it is larger"; NaN for a single run."""
        if not self.error > ROUNDING:  # NaN, or runs that agree to the last digit
            return float(self.mean <= value + ROUNDING) if self.error <= ROUNDING else np.nan
        return float(special.stdtr(self.freedom, (value - self.mean) / self.error))

    def differs(self, value: float) -> float:
        """The p-value of the two-sided test of "it is the value"; NaN for a single run."""
        return 2 * min(self.above(value), 0.5, self._below(value)) if self.runs > 1 else np.nan

    def _below(self, value: float) -> float:
        return replace(self, mean=-self.mean).above(-value)

    def within(self, margin: float) -> float:
        """The p-value of two one-sided tests of "it is not within ± margin" (Schuirmann 1987); NaN for a single run."""
        return max(self.above(-margin), self._below(margin)) if self.runs > 1 else np.nan

    def outside(self, margin: float) -> float:
        """The p-value of the test of "it is within ± margin"; NaN for a single run."""
        return min(self.above(margin), self._below(-margin)) if self.runs > 1 else np.nan

    def detectable(self, level: float = 0.05, power: float = POWER) -> float:
        """How large a difference must be to be told from zero with this power by a two-sided test of this level.

        Where one row errs less, the logarithm of its errors scatters more: its variance rises as that of a count's does.
        """
        critical = special.stdtrit(self.freedom, 1 - level / 2)
        size = float(special.nctdtrinc(self.freedom, 1 - power, critical)) * self._usual_error
        return size * ((1 + math.exp(min(size, 1.0))) / 2) ** 0.5

    def margin(self, level: float = 0.05, power: float = POWER) -> float:
        """Within which margin two one-sided tests of this level show with this power what is no difference."""
        critical = special.stdtrit(self.freedom, 1 - level)
        return float(special.nctdtrinc(self.freedom, (1 - power) / 2, critical)) * self._usual_error

    @property
    def _usual_error(self) -> float:
        """The standard error that is as often too large as too small; from few runs `error` is too small in most cases."""
        return self.error / float((special.chdtri(self.freedom, 0.5) / self.freedom) ** 0.5)

    def with_runs(self, runs: int) -> "Contrast":
        """The same with another number of seeds, two or more, and the spread as it is estimated now."""
        freedom = self.seeds_freedom * (runs - 1) / (self.runs - 1)
        return replace(self, seeds=self.seeds * self.runs / runs, seeds_freedom=freedom, runs=runs)


def contrast(logs: ArrayLike, weights: ArrayLike, influences: Sequence[ArrayLike] = ()) -> Contrast:
    """A contrast of rows' means over seeds, from what every run has.

    Arguments:
        logs: (R, S) a row for each setting, a column for each seed, NaN where there is no such run. All rows serve to estimate
            the spread over seeds, and how far runs that share their seed go together.
        weights: (R,) that add up to zero.
        influences: of each set of people the array (R, S, G) of what G clusters of them add to the deviation of a run's log.
    Raises: ValueError for shapes that do not fit, weights that do not add up to zero, and rows without a run.
    """
    table, w = np.asarray(logs, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if table.ndim != 2 or w.shape != table.shape[:1] or abs(w.sum()) > 1e-9 or not w.any():
        raise ValueError(f"need logs (R, S) and weights (R,) that add up to zero, not {table.shape} and {w}")
    return _weighted(table, w, influences)


def pooled(differences: ArrayLike, bases: ArrayLike, influences: Sequence[ArrayLike] = ()) -> Contrast:
    """The mean difference that a term makes to several bases, such as losses, as one of all bases that there might be.

    A random-effects mean, each base with the same weight: how far the bases' own means scatter, over their number, is the
    variance that other bases, seeds and people of each alone would change (Hartung and Knapp 2001); it is not taken for smaller
    than what seeds and people say by themselves (Röver, Knapp and Friede 2015). To it comes the covariance of two bases' means,
    which have their seeds and people in common: the difference between the variance of their mean and of each.

    Arguments:
        differences: (P, S) of each pair of rows, with the term and without, and of each seed the difference of logarithms; NaN
            where there is no such run. What the two runs of a pair share, their seed and what the term leaves of a training as
            it is, is gone from it.
        bases: (P,) which base a pair is of: one pair each, or several on other people.
        influences: as of `contrast`, with the term less without, (P, S, G).
    Returns: a contrast whose `seeds` are the bases, drawn with all else that is a base's own, and whose `people` are what bases
        have in common; more seeds alone do not bring it down.
    Raises: ValueError for fewer than two bases, and for pairs without a run.
    """
    table, owners = np.asarray(differences, dtype=np.float64), np.asarray(bases)
    chosen = np.array([owners == name for name in np.unique(owners)], dtype=np.float64)
    k = len(chosen)
    if k < 2:
        raise ValueError(f"a mean over bases needs two of them or more, not {k}")
    weights = chosen / chosen.sum(axis=1, keepdims=True)
    each = [_weighted(table, w, influences) for w in weights]
    mean = _weighted(table, weights.mean(axis=0), influences)
    scatter = float(np.var([one.mean for one in each], ddof=1)) / k
    variance = float(np.mean([one.error**2 for one in each]))
    common = max((k * mean.error**2 - variance) / (k - 1), 0.0)
    own = max((variance - common) / k, 0.0)
    return Contrast(mean.mean, max(scatter, own), common, k - 1.0, mean.freedom, mean.runs)


def _weighted(table: Floats, w: Floats, influences: Sequence[ArrayLike]) -> Contrast:
    """A weighted sum of rows' means over seeds."""
    there = np.isfinite(table)
    counts = there.sum(axis=1)
    if not counts.all():
        raise ValueError(f"row {int(np.argmin(counts))} has no run")
    means = np.array([row[here].mean() for row, here in zip(table, there, strict=True)])
    seeds, freedom = _seeds(table - means[:, None], there, w)
    people, clusters = _people(there, w, [np.asarray(array, dtype=np.float64) for array in influences])
    return Contrast(float(w @ means), seeds, people, freedom, clusters, int(counts[w != 0].min()))


def _seeds(deviations: Floats, there: NDArray[np.bool_], w: Floats) -> tuple[float, float]:
    """The variance of a contrast over seeds drawn anew, and its degrees of freedom.

    The variance of runs and the covariance of two runs that share their seed are pooled over rows. Where all rows have all
    seeds, this is the residual of the two-way layout of rows and seeds, and for two rows the paired t-test.
    """
    here = there.astype(np.float64)
    filled = np.where(there, deviations, 0.0)
    shared = here @ here.T  # (R, R), how many seeds two rows share
    counts = np.diag(shared)
    own = float((counts - 1).sum())
    if own == 0:
        return np.nan, np.nan
    variance = float((filled**2).sum()) / own
    couples = np.triu(shared > 1, 1)
    products = filled @ filled.T - (filled @ here.T) * (here @ filled.T) / np.maximum(shared, 1)
    covariance = float(products[couples].sum() / np.maximum((shared - 1)[couples].sum(), 1))
    apart = np.where(np.eye(len(w), dtype=bool), variance, covariance) * shared / np.outer(counts, counts)
    columns = int((there.sum(axis=0) > 1).sum())
    return max(float(w @ apart @ w), 0.0), max(own - max(columns - 1, 0), 1.0)


def _people(there: NDArray[np.bool_], w: Floats, influences: Sequence[Floats]) -> tuple[float, float]:
    """The variance of a contrast over people drawn anew, and its degrees of freedom: of no less than nothing."""
    total, clusters, compared = 0.0, 0.0, np.flatnonzero(w)
    for array in (array for array in influences if array.shape[2] > 1):  # one cluster tells nothing
        rows = compared[array[compared].any(axis=(1, 2))]  # the others were tested on other people
        common = there[rows].all(axis=0)
        if common.sum() > 1:  # runs of one seed may err on the same people: their difference is what counts
            parts = [np.einsum("r,rsg->sg", w[rows], array[rows][:, common])]
        else:
            parts = [w[row] * array[row, there[row]] for row in rows]
        size = array.shape[2]
        mean = sum(part.mean(axis=0) for part in parts)
        peculiar = sum(float(part.var(axis=0, ddof=1).sum()) / len(part) for part in parts if len(part) > 1)
        total += (float(mean @ mean) - peculiar) * size / (size - 1)
        clusters += size - 1
    return max(total, 0.0), max(clusters, 1.0)


def step_down(p_values: ArrayLike, level: float = 0.05) -> NDArray[np.bool_]:
    """Which hypotheses of a family are rejected, so that in `level` of families at most any is wrongly (after Holm 1979).

    Of each claim there are one or more hypotheses of which only one can be true, such as "the effect is nil" and "the effect is
    as printed". So there are as many true ones at most as there are claims of which not all are rejected (Shaffer 1986): by
    that number the smallest p-value that is left is multiplied. With one hypothesis each this is Holm's procedure.

    Arguments: p_values (K, H), NaN for what is not asked.
    """
    p = np.asarray(p_values, dtype=np.float64)
    rejected = np.zeros(p.shape, dtype=np.bool_)
    for _ in range(p.size):
        left = np.where(rejected | np.isnan(p), np.inf, p)
        claims = int(np.isfinite(left).any(axis=1).sum())
        if claims == 0 or left.min() * claims > level:
            break
        rejected[np.unravel_index(left.argmin(), p.shape)] = True
    return rejected


def seeds_needed(
    found: Contrast, size: float, level: float = 0.05, reach: Callable[[Contrast, float], float] = Contrast.detectable
) -> int | None:
    """How many seeds a row would bring what a test can reach down to a size; None where no number does that anybody would
    train, or where one run says nothing of the spread.

    Arguments: reach: `Contrast.detectable` or `Contrast.margin`.
    """
    if found.runs < 2 or not size > 0 or reach(found.with_runs(MOST_SEEDS), level) > size:
        return None
    low, high = 1, MOST_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reach(found.with_runs(middle), level) <= size else (middle, high)
    return high
