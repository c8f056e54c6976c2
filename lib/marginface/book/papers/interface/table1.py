"""InterFace Table I: is ArcFace with its margin on both sides, RArc, equivalent to ArcFace?"""

from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd

from marginface.book.audit.numbers import borda as audit
from marginface.book.items import Item, Results, Within
from marginface.book.obtain import Row
from marginface.book.papers.interface import losses
from marginface.book.papers.interface.losses import VARIED
from marginface.book.papers.interface.selection import accuracies, table
from marginface.book.verdicts import Verdict, combine, of_equivalence
from marginface.evaluation.statistics import Estimate, borda, equivalence


@dataclass(frozen=True)
class Comparison:
    """A split of the margin against ArcFace on a test, in points, with the 90 % interval of two one-sided tests at 5 %."""

    name: str
    test: str
    difference: Estimate
    p_value: float


def rows(chosen: SimpleNamespace) -> dict[str, Row]:
    """The four splits of the margin; the first is ArcFace."""
    return losses.rows(losses.table1(losses.scale_of(chosen)), chosen, 1)


def claims(results: Results) -> list[Within]:
    """Every split of the margin is equivalent to ArcFace, on the mean over tests."""
    base, *others = results.runs
    points = results.settings.margin
    text = f"equals ArcFace within ± {points:g} points, mean over tests"
    return [Within(name, base, tuple(results.tests), points, f"{name} {text}") for name in others]


def comparisons(results: Results) -> list[Comparison]:
    """Every split of the margin against ArcFace: on every test, and on their mean."""
    tests, found = {test: (test,) for test in results.tests} | {"mean": tuple(results.tests)}, []
    for claim in claims(results):
        for test, measures in tests.items():
            difference = replace(claim, measures=measures).difference(results.runs)
            p_value = np.nan
            if difference.runs > 1:
                own, base = (results.values(row, measures) for row in (claim.row, claim.over))
                p_value = equivalence(np.subtract(own, base).tolist(), claim.points).p_value
            found.append(Comparison(claim.row, test, difference, p_value))
    return found


def comparison_table(found: list[Comparison], margin: float) -> pd.DataFrame:
    """The differences, and whether each is shown to be within ± margin."""
    lines = []
    for each in found:
        shown = "–" if np.isnan(each.p_value) else f"{each.p_value:.3f}"
        word = of_equivalence(each.difference, margin, "").word
        answer = {"reproduced": "shown", "contradicted": "refuted"}.get(word, "undecided")
        lines.append((each.name, each.test, each.difference.format("+.2f"), shown, answer))
    columns = ["setting", "test", "above ArcFace, points [90 % interval]", "p", f"within ± {margin:g} points"]
    return pd.DataFrame(lines, columns=columns)


def equivalence_verdict(results: Results) -> Verdict:
    """Whether every split of the margin is shown to be equivalent to ArcFace; and the Borda sums, which the paper goes by."""
    printed, sums = audit.printed(1).sums, borda(accuracies(results.runs).mean(axis=2)).sum(axis=0)
    listed = f"Borda sums {', '.join(f'{total:g}' for total in sums)} here, {', '.join(map(str, printed))} as printed"
    verdict = combine([claim.judge(results.runs) for claim in claims(results)])
    return replace(verdict, evidence=(*verdict.evidence, listed))


def typical_range() -> str:
    """How far apart the settings are that Tables II to V choose among, in a sentence."""
    ranges = [np.ptp(audit.printed(number, mend=True).accuracy, axis=1) for number in VARIED]
    low, middle, high = np.quantile(np.concatenate(ranges), [0, 0.5, 1])
    return (
        f"Tables II to V choose among settings that differ on a benchmark by {low:.2f} to {high:.2f} points from the best "
        f"to the worst, {middle:.2f} in the median."
    )


TABLE1 = Item(
    "InterFace",
    "Table I",
    notebook="table1",
    parameters=losses.PARAMETERS | {"margin": 0.5},  # points; see `typical_range`
    rows=rows,
    seeds=losses.FIVE_SEEDS,
    claims=claims,
    judge=equivalence_verdict,
    tabulate=partial(table, 1),
)
