"""Results of an item from runs whose numbers are known."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from marginface.book.items import Item, Results
from marginface.training import Run
from marginface.training.recipes import Recipe

PAIRS = 20_000
TESTS = ("LFW", "CFP-FF", "CFP-FP", "templates TAR@FAR=0.0001", "identification rank-1")
SEEDS = (0, 1, 2, 3, 4)
ORDER = np.random.default_rng(0).permutation(PAIRS)  # of how hard pairs are, the same for all runs


def run(recipe: Recipe, seed: int, error: float, tests: Sequence[str] = TESTS) -> Run:
    correct = np.greater_equal(ORDER, round(PAIRS * error))
    metrics = {test: float(correct.mean()) for test in tests}
    arrays = {f"{test} correct": correct for test in tests}
    told = {"device": "", "precision": "", "steps": 1}
    return Run(replace(recipe, seed=seed), metrics, {"step": [], "loss": []}, arrays, "made up", "", told)


def results(item: Item, error: Callable[[str], float], noise: float = 0.01, draw: int = 0, **parameters: object) -> Results:
    """Every row at its error, which a seed changes for all of them by up to a tenth, and a run by the noise, in shares."""
    asked, numbers = item.ask(**parameters), np.random.default_rng(draw)  # type: ignore[arg-type]
    shared = numbers.uniform(0.9, 1.1, len(SEEDS))
    runs = {
        name: [run(row.recipe, seed, error(name) * shared[seed] * (1 + noise * numbers.normal())) for seed in SEEDS]
        for name, row in asked.rows.items()
    }
    return replace(asked, runs=runs)
