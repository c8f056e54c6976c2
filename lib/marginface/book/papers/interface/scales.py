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
    """Table I's four losses for every scale, and for the middle one with every length, too."""
    middle = sorted(chosen.scales)[len(chosen.scales) // 2]
    settings = [(s, chosen.epochs) for s in chosen.scales] + [(middle, n) for n in chosen.lengths if n != chosen.epochs]
    found: dict[str, Row] = {}
    for s, epochs in settings:
        of_scale = losses.rows(losses.table1(s), SimpleNamespace(**vars(chosen) | {"epochs": epochs}), 1)
        found |= {f"s = {s:g}, {epochs} epochs: {name}": row for name, row in of_scale.items()}
    return found


def claims(results: Results) -> list[Within]:
    """With every scale and length, every split of the margin is equivalent to ArcFace, on the mean over tests."""
    found, base = [], ""
    for name in results.runs:
        setting, loss = name.split(": ")
        if loss == next(iter(losses.table1())):
            base = name
        else:
            text = f"{setting}: {loss} like ArcFace"
            found.append(Within(name, base, tuple(results.tests), results.settings.margin, text))
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
