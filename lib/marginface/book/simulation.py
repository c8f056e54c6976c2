"""Experiments whose truth is known: whether the method that judges differences keeps what it promises.

Scores are binormal. Those of genuine pairs lie above those of impostors by a distance that a row of the table, a seed and both
together change; what makes a pair or a person hard is common to all runs, in part to those of a row, and in part a run's own.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from marginface.evaluation.crossed import Contrast, contrast, step_down
from marginface.evaluation.placements import Placements

Floats = NDArray[np.float64]
COMMON = 0.9  # of the variance of impostors' scores, what all runs have in common


@dataclass(frozen=True)
class Spreads:
    """Standard deviations of scores, in units of an impostor score's: what seeds and people change.

    The defaults give logarithms of errors the spreads that runs on faces have in `data/runs` (`benchmarks/effects.py` sets them
    side by side): runs 0.03 to 0.04 over seeds, of which half is common to runs with one seed; 0.05 over people, and
    the difference of two rows up to 0.02 over them.
    """

    distance: float = 1.2
    seed: float = 0.02
    run: float = 0.01
    person: float = 0.2
    person_row: float = 0.08
    person_run: float = 0.1
    pair: float = 0.4
    pair_run: float = 0.2

    @property
    def hardness(self) -> float:
        """The variance of scores about a run's distance."""
        return self.person**2 + self.person_row**2 + self.person_run**2 + self.pair**2 + self.pair_run**2


@dataclass(frozen=True)
class Design:
    """An experiment: rows of which each but the first is compared with the first, seeds, people and their pairs."""

    rows: int = 4
    seeds: int = 5
    people: int = 300
    pairs: int = 4
    spreads: Spreads = Spreads()


def effect(design: Design, moved: float) -> float:
    """The true logarithm of a row's errors over the first's, whose distance is not moved: mean over seeds, of all people."""
    s = design.spreads
    nodes, weights = np.polynomial.hermite_e.hermegauss(21)
    shaken = np.hypot(s.seed, s.run) * nodes
    logs = [special.log_ndtr(-(s.distance + more + shaken) / (1 + s.hardness) ** 0.5) @ weights for more in (moved, 0.0)]
    return float(logs[0] - logs[1]) / float(weights.sum())


def move(design: Design, wanted: float) -> float:
    """By how much to move the distance for that effect."""
    low, high = -5.0, 5.0  # the effect falls with the distance
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if effect(design, middle) > wanted else (low, middle)
    return (low + high) / 2


def experiments(design: Design, moved: Floats, repeats: int, seed: int = 0) -> Iterator[list[Contrast]]:
    """Each row's contrast with the first, again and again, from new seeds and new people.

    Arguments: moved: (rows,) by how much each row's distance is changed.
    """
    numbers = np.random.default_rng(seed)
    for _ in range(repeats):
        logs, influences = runs_of(design, moved, numbers)
        yield [contrast(logs, _against_first(design.rows, row), [influences]) for row in range(1, design.rows)]


@dataclass(frozen=True)
class Kept:
    """What the method promises, and what came of it in experiments.

    coverage: how often a 95 % interval holds the true effect.
    wrong: the share of families of claims in which any is said to hold, or to be opposite, where no row differs.
    excluded: the share in which any printed size is excluded where all are the true ones.
    stated: the effect that would be shown with a power of 80 %, as the median experiment says.
    power: how often that effect is shown.
    """

    coverage: float
    wrong: float
    excluded: float
    stated: float
    power: float


def study(design: Design, repeats: int, seed: int = 0, level: float = 0.05) -> Kept:
    """Two times as many experiments: one half where no row differs, one where each has the effect that the first half says
    it could have shown."""
    claims = design.rows - 1
    null = list(experiments(design, np.zeros(design.rows), repeats, seed))
    stated = float(np.median([each.detectable(level / claims) for found in null for each in found]))
    moved = np.where(np.arange(design.rows) > 0, move(design, -stated), 0.0)
    real = list(experiments(design, moved, repeats, seed + 1))

    def holds(found: list[Contrast], truth: float) -> list[bool]:
        return [low <= truth <= high for low, high in (each.interval(1 - level) for each in found)]

    def rejected(found: list[Contrast]) -> NDArray[np.bool_]:
        return step_down([[each.differs(0), each.differs(-stated)] for each in found], level)

    return Kept(
        coverage=float(np.mean([holds(found, 0) for found in null] + [holds(found, -stated) for found in real])),
        wrong=float(np.mean([rejected(found)[:, 0].any() for found in null])),
        excluded=float(np.mean([rejected(found)[:, 1].any() for found in real])),
        stated=stated,
        power=float(np.mean([each.differs(0) < level / claims for found in real for each in found])),
    )


def best_of(design: Design, repeats: int, tests: int = 1, seed: int = 0) -> Floats:
    """(repeats, rows - 1) logarithms: by how much the best of the second row, of the second and third, … seems to change the
    first row's errors, where none does; in the mean over some tests of the same runs, each with its own best.

    It is the best of what each experiment measured, as one reports who tries several settings on the test set.
    """
    numbers, still = np.random.default_rng(seed), np.zeros(design.rows)
    found = np.empty((repeats, tests, design.rows - 1))
    for n in range(repeats):
        runs = trained(design, still, numbers)
        for t in range(tests):
            mean = tested(design, runs, numbers)[0].mean(axis=1)
            found[n, t] = np.minimum.accumulate(mean[1:]) - mean[0]
    return found.mean(axis=1)


def _against_first(rows: int, row: int) -> Floats:
    weights = np.zeros(rows)
    weights[[0, row]] = -1, 1
    return weights


def runs_of(design: Design, moved: Floats, numbers: np.random.Generator) -> tuple[Floats, Floats]:
    """The logarithm of every run's errors (R, S), and what each person adds to its deviation (R, S, G)."""
    return tested(design, trained(design, moved, numbers), numbers)


def trained(design: Design, moved: Floats, numbers: np.random.Generator) -> Floats:
    """(R, S) how far every run sets genuine pairs from impostors: what it has on any test."""
    s, (R, S) = design.spreads, (design.rows, design.seeds)
    return s.distance + moved[:, None] + s.seed * numbers.standard_normal((1, S)) + s.run * numbers.standard_normal((R, S))


def tested(design: Design, runs: Floats, numbers: np.random.Generator) -> tuple[Floats, Floats]:
    """What `runs_of` gives, of such runs on one draw of people."""
    s, (R, S, G, P) = design.spreads, (design.rows, design.seeds, design.people, design.pairs)

    def drawn(spread: float, *shape: int) -> Floats:
        return spread * numbers.standard_normal(shape)

    person = drawn(s.person, 1, 1, G) + drawn(s.person_row, R, 1, G) + drawn(s.person_run, R, S, G)
    pair = drawn(s.pair, 1, 1, G, P) + drawn(s.pair_run, R, S, G, P)
    genuine = runs[:, :, None, None] + person[..., None] + pair
    impostors = drawn(COMMON**0.5, 1, 1, G, P) + drawn((1 - COMMON) ** 0.5, R, S, G, P)
    logs, influences = np.empty((R, S)), np.empty((R, S, G))
    for r, k in np.ndindex(R, S):
        found = placements(genuine[r, k], impostors[r, k])
        logs[r, k] = np.log(1 - found.auc)
        influences[r, k] = found.auc_influence() / (1 - found.auc)
    return logs, influences


def placements(genuine: Floats, impostors: Floats) -> Placements:
    """Those of scores of G people, (G, P) each: an impostor pair belongs to one of them here."""
    G, P = genuine.shape
    owner, mine, others = np.arange(G * P) // P, genuine.ravel(), impostors.ravel()
    by_score, by_impostor = np.argsort(mine), np.argsort(others)  # sorted queries are found many times as fast
    higher = G * P - np.searchsorted(others[by_impostor], mine[by_score])
    lower = np.searchsorted(mine[by_score], others[by_impostor])
    above, below = (
        np.bincount(owner[order], counts, minlength=G) / (P * G * P)
        for order, counts in ((by_score, higher), (by_impostor, lower))
    )
    none, each = np.zeros((0, G), dtype=np.int64), np.full(G, P)
    return Placements(each, each, above, below, G * P, np.zeros(0), none, none, np.zeros(0))
