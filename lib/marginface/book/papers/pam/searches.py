"""PAM Figures 2 and 3: CMC and ROC of Table 2's losses, with people looked for among strangers in MegaFace's way."""

from collections.abc import Mapping
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from marginface.book import comparison
from marginface.book.effects import Above
from marginface.book.errors import bed_of
from marginface.book.items import Item, Results
from marginface.book.obtain import Bed, Row, Runs
from marginface.book.papers.bases import FIVE_SEEDS, LAMBDA, START
from marginface.book.papers.choosing import ON_GLYPHS, PARAMETERS
from marginface.book.papers.pam import table2
from marginface.book.papers.pam.table2 import COMPARED, trainings
from marginface.training import Run

Floats = NDArray[np.float64]

TESTS = ("planted identification(R)", "identification")  # the first that all runs have: with curves, or rank 1 alone
MEASURES = {2: "rank-1", 3: "TAR@FAR=1e-06"}
CURVES = {2: "cmc", 3: "roc"}
PLACES = {2: (10.0, 100.0, 1000.0), 3: (1e-3, 1e-4, 1e-5)}  # ranks and FARs at which the curves are compared besides
PLAIN = ("Softmax", "AM-Softmax")


def rows(chosen: SimpleNamespace) -> dict[str, Row]:
    """Table 2's losses, PAM at the λ that is judged there. The paper's figures have no L-Softmax and no A-Softmax."""
    weights = {1: 1.0, 2: 1.0} if chosen.profile == "paper" else LAMBDA[bed_of(chosen.data)]
    every = table2.rows(SimpleNamespace(**vars(chosen), weights=sorted(set(weights.values()))))
    named = {name: every[name] for name in COMPARED if name in every}
    return named | {f"PAM v{v}": every[f"PAM v{v}, λ = {weight:g}"] for v, weight in weights.items()}


def test_of(results: Results) -> str:
    """Which search the figures are of."""
    metrics = [run.metrics for group in results.runs.values() for run in group]
    return next((test for test in TESTS if all(f"{test} rank-1" in each for each in metrics)), TESTS[-1])


def claims(number: int, results: Results) -> list[Above]:
    """§4.3: both versions do better than Softmax and AM-Softmax, and version 2 better than version 1."""
    measure = f"{test_of(results)} {MEASURES[number]}"
    pairs = [(f"PAM v{v}", over) for v in (1, 2) for over in reversed(PLAIN)] + [("PAM v2", "PAM v1")]
    return [
        Above(row, over, (measure,), f"{row} over {over}, {_title(number, None)}", among=trainings(results.rows, row, over))
        for row, over in pairs
    ]


def explored(number: int, results: Results) -> list[Above]:
    """AM-Softmax, which PAM is added to, over Softmax; and PAM farther along the curve, of which records keep no counts by
    people: those intervals are over seeds alone."""
    above, below = reversed(PLAIN)
    measure = f"{test_of(results)} {MEASURES[number]}"
    apart = trainings(results.rows, above, below)
    found = [Above(above, below, (measure,), f"{above} over {below}, {_title(number, None)}", among=apart)]
    if not curves(number, results.trained):
        return found
    apart = trainings(results.rows, "AM-Softmax", "PAM v1", "PAM v2")
    for place in PLACES[number]:
        value = partial(missed, number, test_of(results), place)
        if not all(np.isfinite(value(run)) and value(run) > 0 for group in results.trained.values() for run in group):
            continue  # nothing is missed there, or the curve does not reach it
        found += [
            Above(row, over, (MEASURES[number],), f"{row} over {over}, {_title(number, place)}", value=value, among=apart)
            for row, over in (("PAM v1", "AM-Softmax"), ("PAM v2", "AM-Softmax"), ("PAM v2", "PAM v1"))
        ]
    return found


def missed(number: int, test: str, place: float, run: Run) -> float:
    """The share of pairs not found by this rank, or not accepted at this FAR; NaN where the curve has no such point."""
    x, y = run.arrays[f"{test} {CURVES[number]}"].astype(np.float64)
    at = np.flatnonzero(np.isclose(x, place, rtol=1e-3))
    return float(1 - y[at[0]]) if len(at) else np.nan


def curves(number: int, runs: Runs) -> dict[str, tuple[Floats, Floats]]:
    """Of every row the ranks or FARs (K,) and the shares of its runs (S, K); {} where records have no curves."""
    name = f"{TESTS[0]} {CURVES[number]}"
    if not all(name in run.arrays for group in runs.values() for run in group):
        return {}
    found = {row: np.array([run.arrays[name] for run in group], dtype=np.float64) for row, group in runs.items()}
    return {row: (both[0, 0], both[:, 1]) for row, both in found.items()}


def order(number: int, runs: Runs) -> pd.DataFrame:
    """At which share of the curve's points each is above each other, in the mean of the runs: "every" is 100 %."""
    found = {row: shares.mean(axis=0) for row, (_, shares) in curves(number, runs).items()}
    lines = [(row, *(_above(shares, other) for other in found.values())) for row, shares in found.items()]
    return pd.DataFrame(lines, columns=["is above", *found])


def _above(ours: Floats, theirs: Floats) -> str:
    return "–" if ours is theirs else f"{100 * np.mean(ours > theirs):.0f} %"


def tabulate(number: int, results: Results) -> pd.DataFrame:
    """The point that is judged, and those beside it where records have curves, in percent."""
    lines = []
    for name, group in results.runs.items():
        line: dict[str, str] = {"loss": name}
        line[_title(number, None)] = comparison.mean(f"{test_of(results)} {MEASURES[number]}", group)
        if name in curves(number, results.runs):
            for place in PLACES[number]:
                shares = [100 * (1 - missed(number, TESTS[0], place, run)) for run in group]
                line[_title(number, place)] = "–" if np.isnan(shares).any() else f"{np.mean(shares):.2f}"
        lines.append(line)
    return pd.DataFrame(lines)


def _title(number: int, place: float | None) -> str:
    if number == 2:
        return f"rank {1 if place is None else place:g}"
    return f"TAR at FAR {1e-6 if place is None else place:g}"


def _item(number: int) -> Item:
    values: Mapping[str, object] = {"start_step": START[PARAMETERS["data"]]} | PARAMETERS
    return Item(
        "PAM",
        f"Figure {number}",
        notebook=f"pam/figure{number}",
        parameters=values,
        rows=rows,
        seeds=FIVE_SEEDS,
        claims=partial(claims, number),
        explored=partial(explored, number),
        tabulate=partial(tabulate, number),
        reads=TESTS,
        beds={"glyphs": Bed(FIVE_SEEDS, ON_GLYPHS | {"start_step": START[ON_GLYPHS["data"]]})},
    )


FIGURE2, FIGURE3 = _item(2), _item(3)
