"""InterFace Table I at other scales and lengths of training: is its equivalence a matter of s, or of how long is trained?"""

from types import SimpleNamespace

import pandas as pd

from marginface.book import comparison
from marginface.book.effects import Within
from marginface.book.items import Item, Results
from marginface.book.obtain import Row
from marginface.book.papers.glyphs import GLYPHS
from marginface.book.papers.interface import losses
from marginface.book.papers.interface.table1 import MARGIN


def rows(chosen: SimpleNamespace) -> dict[str, Row]:
    """Table I's four losses for every scale, and for the middle one with every length; with profile "paper" the recipe's."""
    middle = sorted(chosen.scales)[len(chosen.scales) // 2]
    settings = [(s, chosen.epochs) for s in chosen.scales] + [(middle, n) for n in chosen.lengths]
    found: dict[str, Row] = {}
    for s, epochs in settings:
        of_scale = losses.rows(losses.table1(s), SimpleNamespace(**vars(chosen) | {"epochs": epochs}), 1)
        found |= {f"s = {s:g}, {row.recipe.epochs} epochs: {name}": row for name, row in of_scale.items()}
    return found


def claims(results: Results) -> list[Within]:
    """With every scale and length, every split of the margin is equivalent to ArcFace, on the mean over tests.

    Runs of another scale or length may vary more from seed to seed: only the rows of the same say how far these do.
    """
    found: list[Within] = []
    for base, *others in _by_setting(results).values():
        among, tests = (base, *others), tuple(results.tests)
        found += [Within(row, base, tests, results.settings.margin, f"{row} like ArcFace", among=among) for row in others]
    return found


def _by_setting(results: Results) -> dict[str, list[str]]:
    """The rows of every scale and length; the first of each is ArcFace, whose margin is all on one side."""
    found: dict[str, list[str]] = {}
    for name in results.runs:
        found.setdefault(name.split(": ")[0], []).append(name)
    return found


def table(results: Results) -> pd.DataFrame:
    """Every row on every test: the mean over seeds with its interval, in percent."""
    lines = []
    for name, group in results.runs.items():
        setting, loss = name.split(": ")
        tests = {f"{test}, %": comparison.mean(test, group) for test in results.tests}
        lines.append({"trained with": setting, "loss": loss} | tests)
    return pd.DataFrame(lines)


SCALES = Item(
    "InterFace",
    "Table I, other scales and lengths",
    notebook="table1_scales",
    parameters={"scales": (16.0, 32.0, 64.0), "lengths": (3, 6), "data": GLYPHS.data, "epochs": GLYPHS.epochs}
    | {"margin": MARGIN},
    rows=rows,
    seeds=losses.FIVE_SEEDS,
    claims=claims,
    tabulate=table,
)
