"""InterFace Table I: is ArcFace with its margin on both sides, RArc, equivalent to ArcFace?"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np

from marginface.book import effects, published
from marginface.book.audit.numbers import borda as audit
from marginface.book.comparison import LISTS
from marginface.book.effects import Within
from marginface.book.items import Item, Results
from marginface.book.obtain import Row
from marginface.book.papers.interface import losses
from marginface.book.papers.interface.losses import VARIED
from marginface.book.papers.interface.selection import accuracies, settings, table
from marginface.book.verdicts import Verdict
from marginface.evaluation.statistics import borda

MARGIN = 0.06  # share of errors: half the median of `spreads` on LFW and CFP-FP


def rows(chosen: SimpleNamespace) -> dict[str, Row]:
    """The four splits of the margin, of which the first is ArcFace, and ArcFace with a smaller margin."""
    return losses.rows(losses.table1(losses.scale_of(chosen)) | losses.control(chosen), chosen, 1)


def claims(results: Results) -> list[Within]:
    """Every split of the margin is equivalent to ArcFace, on the mean over tests."""
    return _against_arcface(results, tuple(results.tests), "")


def explored(results: Results) -> list[Within]:
    """The same on every test; and whether what a split leaves of the margin, and no more, would be like ArcFace, too."""
    base, tests = next(iter(settings(results.runs))), tuple(results.tests)
    smaller = [name for name in results.runs if name not in settings(results.runs)]
    found = [Within(name, base, tests, results.settings.margin, f"{name} like {base}") for name in smaller]
    return found + [each for test in results.tests for each in _against_arcface(results, (test,), f", {test}")]


def _against_arcface(results: Results, tests: tuple[str, ...], where: str) -> list[Within]:
    base, *others = settings(results.runs)
    margin = results.settings.margin
    return [
        Within(name, base, tests, margin, f"{name} like ArcFace{where}", _printed(place, tests))
        for place, name in enumerate(others, 1)
    ]


def _printed(place: int, tests: tuple[str, ...]) -> float | None:
    """By which share the printed errors of a split differ from ArcFace's, on the tests in common."""
    count = audit.printed(1)
    rows = [b for b, benchmark in enumerate(count.benchmarks) if benchmark in tests]
    return published.share(count.accuracy[rows, place].tolist(), count.accuracy[rows, 0].tolist())


def equivalence_verdict(results: Results) -> Verdict:
    """Whether every split of the margin is shown to be equivalent to ArcFace; and the Borda sums, which the paper goes by."""
    printed, sums = audit.printed(1).sums, borda(accuracies(settings(results.runs)).mean(axis=2)).sum(axis=0)
    listed = f"Borda sums {', '.join(f'{total:g}' for total in sums)} here, {', '.join(map(str, printed))} as printed"
    verdict = effects.verdict(results.judged())
    return replace(verdict, evidence=(*verdict.evidence, listed))


def spreads(tests: Sequence[str]) -> list[float]:
    """How far apart the settings are that Tables II to V choose among, from the best to the worst, as a share of errors: of the
    printed numbers, mean over the tests in common, or where there are none over all."""
    found = []
    for number in VARIED:
        count = audit.printed(number, mend=True)
        rows = [b for b, benchmark in enumerate(count.benchmarks) if benchmark in tests] or list(range(len(count.benchmarks)))
        found.append(float(np.expm1(np.ptp(np.log(100 - count.accuracy[rows]).mean(axis=0)))))
    return found


def typical_range(tests: Sequence[str]) -> str:
    """The same in a sentence."""
    shares = spreads(tests)
    return (
        "Tables II to V choose among settings whose printed errors differ, from the best to the worst, by "
        f"{100 * min(shares):.0f} to {100 * max(shares):.0f} %, {100 * np.median(shares):.0f} % in the median."
    )


TABLE1 = Item(
    "InterFace",
    "Table I",
    notebook="table1",
    parameters=losses.PARAMETERS | {"margin": MARGIN},
    beds=losses.BEDS,
    rows=rows,
    seeds=losses.FIVE_SEEDS,
    claims=claims,
    explored=explored,
    judge=equivalence_verdict,
    tabulate=partial(table, 1),
    reads=("theta_histogram", *LISTS),
)
