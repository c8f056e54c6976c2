"""InterFace Table I: is ArcFace with its margin on both sides, RArc, equivalent to ArcFace?"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from marginface.book.audit.numbers import borda as audit
from marginface.book.papers.comparison import Runs, of_records, tests_of
from marginface.book.papers.interface.losses import EQUAL_MARGINS, FIVE_SEEDS, VARIED
from marginface.book.papers.interface.selection import accuracies, recipes
from marginface.book.verdicts import Verdict, combine, of_equivalence
from marginface.evaluation.statistics import Estimate, borda, equivalence, paired_difference

MARGIN = 0.5  # points; see `typical_range`
VALUES = tuple(m1 for m1, _ in EQUAL_MARGINS)


@dataclass(frozen=True)
class Comparison:
    """A split of the margin against ArcFace on a test, in points, with the 90 % interval of two one-sided tests at 5 %."""

    name: str
    test: str
    difference: Estimate
    p_value: float


def comparisons(runs: Runs, margin: float = MARGIN) -> list[Comparison]:
    """Every split of the margin against the first, which is ArcFace: on every test, and on their mean."""
    tests, found = [*tests_of(runs), "mean"], []
    accuracy = accuracies(runs)
    accuracy = np.concatenate([accuracy, accuracy.mean(axis=0, keepdims=True)])
    for k, name in enumerate(list(runs)[1:], start=1):
        for test, values in zip(tests, accuracy, strict=True):
            difference = paired_difference(values[k].tolist(), values[0].tolist(), confidence=0.9)
            p_value = equivalence((values[k] - values[0]).tolist(), margin).p_value if difference.runs > 1 else np.nan
            found.append(Comparison(name, test, difference, p_value))
    return found


def comparison_table(found: list[Comparison], margin: float = MARGIN) -> pd.DataFrame:
    """The differences, and whether each is shown to be within ± margin."""
    lines = []
    for each in found:
        shown = "–" if np.isnan(each.p_value) else f"{each.p_value:.3f}"
        word = of_equivalence(each.difference, margin, "").word
        answer = {"reproduced": "shown", "contradicted": "refuted"}.get(word, "undecided")
        lines.append((each.name, each.test, each.difference.format("+.2f"), shown, answer))
    columns = ["setting", "test", "above ArcFace, points [90 % interval]", "p", f"within ± {margin:g} points"]
    return pd.DataFrame(lines, columns=columns)


def equivalence_verdict(runs: Runs, margin: float = MARGIN) -> Verdict:
    """Whether every split of the margin is shown to be equivalent to ArcFace, on the mean over tests."""
    claims = [
        of_equivalence(each.difference, margin, f"{each.name} equals ArcFace within ± {margin:g} points, mean over tests")
        for each in comparisons(runs, margin)
        if each.test == "mean"
    ]
    printed, sums = audit.printed(1).sums, borda(accuracies(runs).mean(axis=2)).sum(axis=0)
    listed = f"Borda sums {', '.join(f'{total:g}' for total in sums)} here, {', '.join(map(str, printed))} as printed"
    verdict = combine(claims)
    return replace(verdict, evidence=(*verdict.evidence, listed))


def typical_range() -> str:
    """How far apart the settings are that Tables II to V choose among, in a sentence."""
    ranges = [np.ptp(audit.printed(number, mend=True).accuracy, axis=1) for number in VARIED]
    low, middle, high = np.quantile(np.concatenate(ranges), [0, 0.5, 1])
    return (
        f"Tables II to V choose among settings that differ on a benchmark by {low:.2f} to {high:.2f} points from the best "
        f"to the worst, {middle:.2f} in the median."
    )


def recorded_verdict() -> Verdict:
    """Table I's verdict from the recorded runs."""
    return of_records(recipes(1), FIVE_SEEDS, equivalence_verdict, "table1")
