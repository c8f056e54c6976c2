"""What the choice of β on the test sets adds: the best of several, where none of them does anything."""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import pandas as pd

from marginface.book import published
from marginface.book.errors import deciding, error
from marginface.book.items import Results
from marginface.book.papers.iam.betas import BASE, BEST, PLAIN, betas_of, tests_of
from marginface.book.papers.iam.table5 import EQ3, FIXED, PRINTED, named
from marginface.book.simulation import Design, Floats, best_of

MOST = 11  # β of Table 3 above 0
DESIGN = Design(rows=MOST + 1, seeds=1, people=300, pairs=4)  # one run a setting, as in the paper, with our runs' spreads
REPEATS = 200


@cache
def by_chance(repeats: int = REPEATS) -> Floats:
    """(repeats, 11) logarithms: what the best of 1, 2, … settings seems to change, each of the paper's tests with its own."""
    tests = published.table("iam", 3).benchmark.nunique()
    return best_of(DESIGN, repeats, tests)


def printed_bests(number: int, base: str | None = None) -> tuple[int, float]:
    """How many β above 0 a table prints of a base, and what the best of them in each column changes, as a logarithm."""
    table = published.table("iam", number)
    table = table if base is None else table[table.base_loss == base]
    errors = 100 - table.pivot_table(index="beta", columns="benchmark", values="value")
    with_iam = errors[errors.index > 0]
    return len(with_iam), float(np.log(with_iam.min() / errors.loc[0.0]).mean())


def chosen() -> pd.DataFrame:
    """Every base's best printed β beside what the best of as many seems to be where there is no effect: in the middle of such
    experiments, and in one of twenty.

    With our spread of runs over all pairs; that of the paper's 5,000 to 7,000 pairs is larger, and with it what a choice adds.
    """
    cases = {f"Table {number}, {name}": (number, base) for number, name, base in _cases()}
    lines = []
    for case, (number, base) in cases.items():
        tried, best = printed_bests(number, base)
        chance = by_chance()[:, tried - 1]
        low, middle = np.expm1(np.quantile(chance, [0.05, 0.5]))
        lines.append(
            (
                case,
                tried,
                f"{100 * np.expm1(best):+.1f} %",
                f"{100 * middle:+.1f} %",
                f"{100 * low:+.1f} %",
            )
        )
    columns = [
        "base",
        "β tried",
        "printed, best of each column",
        "by the choice alone",
        "in one of 20 experiments",
    ]
    return pd.DataFrame(lines, columns=columns)


def on_test(results: Results, groups: Mapping[str, tuple[str, Sequence[str], str]]) -> pd.DataFrame:
    """What a choice on the test set added here: the errors that a β fixed beforehand changes, that the best one changes by the
    runs that it was chosen by, and what is left of that on a seed that had no part in the choice, mean over seeds.

    The people are the same in all three, so that the last is still flattered by them.

    Arguments: groups: by name a row without IAM, those that are chosen among, and the one that was fixed.
    """
    lines = []
    for name, (base, rows, fixed) in groups.items() if results.runs else ():
        gains = {row: _logs(results, row) - _logs(results, base) for row in {*rows, fixed}}
        tried = np.array([gains[row] for row in rows])
        seeds = range(tried.shape[1]) if tried.shape[1] > 1 else ()  # one seed has no others
        others = [tried[np.delete(tried, seed, axis=1).mean(axis=1).argmin(), seed] for seed in seeds]
        best = int(tried.mean(axis=1).argmin())
        changes = (gains[fixed].mean(), tried[best].mean(), np.mean(others) if others else None)
        shown = ("–" if change is None else f"{100 * np.expm1(change):+.1f} %" for change in changes)
        lines.append((name, fixed, rows[best], *shown))
    columns = ["loss", "fixed beforehand", "best on the test", "fixed", "best, by its own runs", "best, by other seeds"]
    return pd.DataFrame(lines, columns=columns)


def groups(number: int, results: Results) -> dict[str, tuple[str, list[str], str]]:
    """What is chosen among in Table 3, 4 or 5, for `on_test`: each loss without IAM, its rows with it, the β that is judged."""
    if number < 5:
        fixed = f"β = {BEST[number]:g}"
        every = list(betas_of(results))
        return {BASE[number]: (PLAIN, every, fixed)} if fixed in every else {}
    rows = {name: [row for row in results.rows if row.startswith(f"{name} + ")] for name in PRINTED}
    return {name: (name, own, named(name, 0.8 if name == EQ3 else FIXED)) for name, own in rows.items()}


def _logs(results: Results, row: str) -> Floats:
    """(S,) the logarithm of the errors of a row's runs, mean over the tests that decide."""
    every = [run for group in results.trained.values() for run in group]
    names = [deciding(test, every) for test in tests_of(results)]
    runs = sorted(results.runs[row], key=lambda run: run.recipe.seed)
    return np.array([np.mean([np.log(error(run, name)) for name in names]) for run in runs])


def _cases() -> list[tuple[int, str, str | None]]:
    return [(3, "scaled softmax", None), (4, "AM-Softmax", None), *((5, name, base) for name, base in PRINTED.items())]
