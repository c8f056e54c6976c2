"""InterFace's sign: f as the paper prints it against f as its released code computes it."""

from dataclasses import replace

import numpy as np
import pandas as pd

from marginface.book.papers.comparison import Runs, tests_of
from marginface.book.papers.interface import losses
from marginface.book.papers.interface.figure1 import shift_degrees
from marginface.book.papers.interface.losses import FIVE_SEEDS, PAPER_SCALE, SCALE, SMALL
from marginface.book.verdicts import Verdict, combine, of_increase
from marginface.evaluation.statistics import Estimate, estimate, paired_bootstrap, paired_difference
from marginface.margins import ArcFace, InterFace, Margin
from marginface.training.recipes import Recipe

BETWEEN = 90.0  # degrees between two class weights, where they are not otherwise given


def recipes(
    profile: str = "book", *, alpha: float = 0.1, scale: float = SCALE, data: str = SMALL.data, epochs: int = SMALL.epochs
) -> dict[str, Recipe]:
    """ArcFace, and the three parameter sets with both signs; with profile "paper" by the paper's recipe for CASIA."""
    base = losses.paper(1) if profile == "paper" else losses.small(data, epochs)
    scale = PAPER_SCALE if profile == "paper" else scale
    margins: dict[str, Margin] = {"ArcFace": ArcFace(scale, 0.5)}
    return losses.recipes(margins | losses.signs(alpha, scale), base)


def grid() -> list[Recipe]:
    """The recorded runs, all losses of one seed before the next seed."""
    return [replace(recipe, seed=seed) for seed in FIVE_SEEDS for recipe in recipes().values()]


def sets(alpha: float = 0.1, scale: float = SCALE) -> dict[str, InterFace]:
    """The three parameter sets as printed."""
    margins = losses.variants(alpha, scale=scale)
    return {name: margin for name, margin in margins.items() if isinstance(margin, InterFace)}


def turn(margin: InterFace, between: float = BETWEEN) -> float:
    """The angle θ_y, in degrees, at which f changes its sign: where γ = t."""
    return margin.a * between + float(np.degrees(margin.b))


def effect_table(
    losses: dict[str, InterFace], own: tuple[float, ...] = (5.0, 30.0, 50.0, 70.0), other: float = 80.0
) -> pd.DataFrame:
    """f in degrees with both signs, and by how much it moves the logit of a class at the angle `other`."""
    lines = []
    for name, margin in losses.items():
        for angle in own:
            f = float(shift_degrees(margin, np.array([angle]), BETWEEN)[0])
            moved = [margin.scale * (np.cos(np.radians(other - g)) - np.cos(np.radians(other))) for g in (f, -f)]
            lines.append((name, f"{angle:.0f}°", f"{f:+.2f}°", f"{-f:+.2f}°", *(f"{by:+.2f}" for by in moved)))
    logit = f"logit of a class at {other:.0f}°"
    columns = ["loss", "θ to the own class", "f as printed", "f as released", f"{logit}, as printed", f"{logit}, as released"]
    return pd.DataFrame(lines, columns=columns)


def tightened_table(runs: Runs, losses: dict[str, InterFace]) -> pd.DataFrame:
    """The share of training images for which f as printed tightens the loss: those nearer to their class than γ = t.

    Counted at the start, in the middle and at the end of the training with f as printed, for class weights 90° apart.
    """
    lines = []
    for name, margin in losses.items():
        counts = np.sum([run.arrays["theta_histogram"] for run in runs[f"{name}, paper"]], axis=0)
        degrees = (np.arange(counts.shape[1]) + 0.5) * 180 / counts.shape[1]
        near = degrees < turn(margin)
        rows = [counts[round(stretch * (len(counts) - 1))] for stretch in (0, 0.5, 1)]
        shares = [f"{row[near].sum() / max(row.sum(), 1):.1%}" for row in rows]
        lines.append((name, f"θ < {turn(margin):.0f}°", *shares))
    return pd.DataFrame(lines, columns=["loss", "tightened where", "start", "middle", "end"])


def comparison_table(runs: Runs) -> pd.DataFrame:
    """Both signs beside each other on every test and on their mean: the difference over seeds, and over pairs drawn anew."""
    lines = []
    for name in sets():
        printed, released = (runs[f"{name}, {sign}"] for sign in ("paper", "released"))
        for test in tests_of(runs):
            first, second = ([100 * run.metrics[test] for run in group] for group in (printed, released))
            pairs = paired_bootstrap(*(np.stack([run.arrays[f"{test} correct"] for run in g]) for g in (printed, released)))
            over_pairs = f"[{100 * pairs.low:+.2f}, {100 * pairs.high:+.2f}]"
            over_seeds = paired_difference(first, second).format("+.2f")
            lines.append((name, test, estimate(first).format(), estimate(second).format(), over_seeds, over_pairs))
        mean = difference(runs, f"{name}, paper", f"{name}, released")
        lines.append((name, "mean", "", "", mean.format("+.2f"), ""))
    columns = ["loss", "test", "as printed, %", "as released, %", "printed − released, over seeds", "over pairs"]
    return pd.DataFrame(lines, columns=columns)


def difference(runs: Runs, better: str, worse: str) -> Estimate:
    """Between two losses, on the mean over tests, in points, run by run with the same seed."""
    tests = tests_of(runs)
    first, second = (
        [100 * float(np.mean([run.metrics[test] for test in tests])) for run in runs[name]] for name in (better, worse)
    )
    return paired_difference(first, second)


def verdict(runs: Runs) -> Verdict:
    """Whether f as printed is better than f as released, for each parameter set, on the mean over tests."""
    return combine(
        [
            of_increase(
                difference(runs, f"{name}, paper", f"{name}, released"),
                f"{name}: as printed over as released, mean over tests, in points",
            )
            for name in sets()
        ]
    )
