"""What the choice of β on the test sets adds: the best of several, where none of them does anything."""

from functools import cache

import numpy as np
import pandas as pd

from marginface.book import published
from marginface.book.papers.iam.betas import BENCHMARKS
from marginface.book.papers.iam.table5 import PRINTED
from marginface.book.simulation import Design, Floats, best_of

MOST = 11  # β of Table 3 above 0
DESIGN = Design(rows=MOST + 1, seeds=1, people=300, pairs=4)  # one run a setting, as in the paper, with our runs' spreads
REPEATS = 200


@cache
def by_chance(repeats: int = REPEATS) -> Floats:
    """(repeats, 11) logarithms: what the best of 1, 2, … settings seems to change, each test with its own best, mean over
    three tests."""
    return np.mean([best_of(DESIGN, repeats, seed=test) for test in range(len(BENCHMARKS))], axis=0)


def printed_bests(number: int, base: str | None = None) -> tuple[int, float]:
    """How many β above 0 a table prints of a base, and what the best of them in each column changes, as a logarithm."""
    table = published.table("iam", number)
    table = table if base is None else table[table.base_loss == base]
    errors = 100 - table.pivot_table(index="beta", columns="benchmark", values="value")
    with_iam = errors[errors.index > 0]
    return len(with_iam), float(np.log(with_iam.min() / errors.loc[0.0]).mean())


def chosen() -> pd.DataFrame:
    """Every base's best printed β beside what the best of as many seems to be where there is no effect.

    The last column is the share of such experiments whose best seems to remove as many errors as the printed one.
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
                f"{100 * np.mean(chance <= best):.0f} %",
            )
        )
    columns = [
        "base",
        "β tried",
        "printed, best of each column",
        "by the choice alone",
        "in one of 20 experiments",
        "as much or more",
    ]
    return pd.DataFrame(lines, columns=columns)


def _cases() -> list[tuple[int, str, str | None]]:
    return [(3, "scaled softmax", None), (4, "AM-Softmax", None), *((5, name, base) for name, base in PRINTED.items())]
