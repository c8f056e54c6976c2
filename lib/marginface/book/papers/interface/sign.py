"""InterFace's sign: f as the paper prints it against f as its released code computes it."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from marginface.book.comparison import LISTS
from marginface.book.effects import Above
from marginface.book.items import Item, Results
from marginface.book.obtain import Row, Runs
from marginface.book.papers.interface import losses
from marginface.book.papers.interface.figure1 import shift_degrees
from marginface.evaluation.statistics import estimate
from marginface.margins import ArcFace, InterFace, Margin

BETWEEN = 90.0  # degrees between two class weights, where they are not otherwise given


def rows(chosen: SimpleNamespace) -> dict[str, Row]:
    """ArcFace, the three parameter sets with both signs, and ArcFace with the margins about its own."""
    s = losses.scale_of(chosen)
    margins: dict[str, Margin] = {"ArcFace": ArcFace(s, 0.5)}
    controls = {name: ArcFace(s, m) for name, m in losses.CONTROLS.values()}
    return losses.rows(margins | losses.signs(chosen.alpha, s) | controls, chosen, 1)


def sets(alpha: float = 0.1, scale: float = losses.SCALE) -> dict[str, InterFace]:
    """The three parameter sets as printed."""
    margins = losses.variants(alpha, scale=scale)
    return {name: margin for name, margin in margins.items() if isinstance(margin, InterFace)}


def turn(margin: InterFace, between: float = BETWEEN) -> float:
    """The angle θ_y, in degrees, at which f changes its sign: where γ = t."""
    return margin.a * between + float(np.degrees(margin.b))


def effect_table(
    margins: dict[str, InterFace], own: tuple[float, ...] = (5.0, 30.0, 50.0, 70.0), other: float = 80.0
) -> pd.DataFrame:
    """f in degrees with both signs, and by how much it moves the logit of a class at the angle `other`."""
    lines = []
    for name, margin in margins.items():
        for angle in own:
            f = float(shift_degrees(margin, np.array([angle]), BETWEEN)[0])
            moved = [margin.scale * (np.cos(np.radians(other - g)) - np.cos(np.radians(other))) for g in (f, -f)]
            lines.append((name, f"{angle:.0f}°", f"{f:+.2f}°", f"{-f:+.2f}°", *(f"{by:+.2f}" for by in moved)))
    logit = f"logit of a class at {other:.0f}°"
    columns = ["loss", "θ to the own class", "f as printed", "f as released", f"{logit}, as printed", f"{logit}, as released"]
    return pd.DataFrame(lines, columns=columns)


def tightened_table(runs: Runs, margins: dict[str, InterFace]) -> pd.DataFrame:
    """The share of training images for which f as printed tightens the loss: those nearer to their class than γ = t.

    Counted at the start, in the middle and at the end of the training with f as printed, for class weights 90° apart.
    """
    lines = []
    for name, margin in margins.items():
        counts = np.sum([run.arrays["theta_histogram"] for run in runs[f"{name}, paper"]], axis=0)
        degrees = (np.arange(counts.shape[1]) + 0.5) * 180 / counts.shape[1]
        near = degrees < turn(margin)
        rows = [counts[round(stretch * (len(counts) - 1))] for stretch in (0, 0.5, 1)]
        shares = [f"{row[near].sum() / max(row.sum(), 1):.1%}" for row in rows]
        lines.append((name, f"θ < {turn(margin):.0f}°", *shares))
    return pd.DataFrame(lines, columns=["loss", "tightened where", "start", "middle", "end"])


def comparison_table(results: Results) -> pd.DataFrame:
    """Both signs beside each other on every test: the mean over seeds with its interval, in percent."""
    lines = []
    for name in losses.variants():
        for test in results.tests:
            both = [estimate(results.values(f"{name}, {sign}", [test])).format() for sign in ("paper", "released")]
            lines.append((name, test, *both))
    return pd.DataFrame(lines, columns=["loss", "test", "as printed, %", "as released, %"])


def claims(results: Results) -> list[Above]:
    """f as printed is better than f as released, for each parameter set, on the mean over tests."""
    tests = tuple(results.tests)
    return [Above(f"{n}, paper", f"{n}, released", tests, f"{n}: as printed over as released") for n in losses.variants()]


def explored(results: Results) -> list[Above]:
    """Each row against ArcFace, which has no f, and each with f against ArcFace with another margin."""
    tests = tuple(results.tests)
    pairs = [(name, "ArcFace") for name in results.runs if name != "ArcFace"]
    pairs += [(f"{name}, {sign}", control) for sign, (control, _) in losses.CONTROLS.items() for name in losses.variants()]
    return [Above(name, over, tests, f"{name} over {over}") for name, over in pairs]


SIGN = Item(
    "InterFace",
    "The sign of f",
    notebook="sign",
    parameters={"alpha": 0.1} | losses.PARAMETERS,
    beds=losses.BEDS,
    rows=rows,
    seeds=losses.FIVE_SEEDS,
    claims=claims,
    explored=explored,
    tabulate=comparison_table,
    reads=("theta_histogram", *LISTS),
)
