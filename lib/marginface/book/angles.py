"""What each loss makes of the classes that it is trained on: the page that sets all of them side by side, from records."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from marginface.book.obtain import Runs
from marginface.book.papers.arcface.table7 import BEST
from marginface.book.papers.bases import CHOSEN, INTERFACE, LAMBDA, SCALES, START, with_iam, with_pam
from marginface.book.papers.choosing import RECIPES, Loss
from marginface.book.papers.interface.losses import variants
from marginface.book.records import lookup
from marginface.evaluation.sphere import QUANTILES
from marginface.training import Run
from marginface.training.recipes import Recipe, with_seeds

SEEDS = range(10)
LOW, MIDDLE, HIGH = (QUANTILES.index(each) for each in (0.05, 0.5, 0.95))
MATCHED = f"{INTERFACE}, best m"
IAM_BETAS = {"NormFace": (0.8,), "CosFace": (0.05, 1.0)}
# the quantities of `sphere.spreads`, as the page calls them
TITLES = {
    "own": "sample to its class weight, °",
    "nearest": "sample to the nearest other weight, °",
    "gap": "that less the own, °",
    "within": "sample to its class's mean, °",
    "centres": "class mean to the nearest other, °",
    "weights": "class weight to the nearest other, °",
    "norms": "length of the embedding",
}


def recipes(bed: str) -> dict[str, Recipe]:
    """Every loss of the four papers on a test bed, at the setting that was chosen for it, with IAM and with PAM."""
    base, chosen = RECIPES[bed], CHOSEN[bed]
    losses = {name: loss for name, loss in chosen.items() if name != INTERFACE}
    losses |= {name: Loss(margin) for name, margin in variants(scale=SCALES[bed]).items()}
    losses[MATCHED] = BEST[bed][INTERFACE]
    for name, betas in IAM_BETAS.items():
        losses |= {f"{name} + {beta:g} × IAM": with_iam(chosen[name], beta, SCALES[bed]) for beta in betas}
    for version, weight in LAMBDA[bed].items():
        losses[f"CosFace + PAM v{version}"] = with_pam(chosen["CosFace"], version, weight, START[base.data])
    return {name: loss.on(base) for name, loss in losses.items()}


def recorded(bed: str, seeds: Sequence[int] = SEEDS) -> Runs:
    """The runs of every loss that keep how its classes lie; losses without any are left out."""
    found = {
        name: [
            run for each in with_seeds(recipe, list(seeds)) if (run := lookup(each)) is not None and "trained own" in run.arrays
        ]
        for name, recipe in recipes(bed).items()
    }
    return {name: group for name, group in found.items() if group}


def quantiles(group: Sequence[Run], quantity: str) -> NDArray[np.float64]:
    """(7,) those of a quantity, the mean over runs."""
    return np.mean([run.arrays[f"trained {quantity}"] for run in group], axis=0, dtype=np.float64)


def table(runs: Runs) -> pd.DataFrame:
    """Of every loss the median of each quantity, with the range of 90 % of the samples or classes, mean over runs."""
    lines = []
    for name, group in runs.items():
        line = {"loss": name, "runs": str(len(group))}
        for quantity, title in TITLES.items():
            low, middle, high = quantiles(group, quantity)[[LOW, MIDDLE, HIGH]]
            line[title] = f"{middle:.1f} [{low:.1f}, {high:.1f}]"
        lines.append(line)
    return pd.DataFrame(lines)


def shares(runs: Runs) -> pd.DataFrame:
    """Of every loss the shares of samples beyond the boundary and inside the margin, and of the pull left, in percent."""
    lines = []
    for name, group in runs.items():
        nearer, inside, pull = 100 * np.mean([run.arrays["trained shares"] for run in group], axis=0, dtype=np.float64)
        lines.append((name, f"{nearer:.2f}", f"{inside:.2f}", f"{100 - nearer - inside:.2f}", f"{pull:.2f}"))
    columns = ["loss", "nearer to another class, %", "inside the margin, %", "beyond it, %", "pull left, % (mean 1 − p)"]
    return pd.DataFrame(lines, columns=columns)


def stands_on(bed: str, runs: Runs) -> str:
    """One line that says what the numbers stand on."""
    group = [run for each in runs.values() for run in each]
    return f"{group[0].data_label}, training images · {len(group)} recorded runs" if group else f"nothing is recorded on {bed}"


def missing(bed: str, runs: Runs) -> str:
    """Which losses have no run that kept these angles, in a sentence; "" where none is missing."""
    names = [name for name in recipes(bed) if name not in runs]
    return f"Without a record of these angles on {bed}: {', '.join(names)}." if names else ""
