"""InterFace Figure 2: eight people on a circle, ArcFace and the three variants."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd

from marginface.book.effects import Above
from marginface.book.items import Item, Results
from marginface.book.obtain import Row, Runs
from marginface.book.papers.interface.losses import SIGNS
from marginface.evaluation.statistics import estimate
from marginface.margins import ArcFace, InterFace, Margin
from marginface.training import Run
from marginface.training.recipes import Recipe

BASE = "ArcFace"
RESOLUTION = 0.05  # degrees, to which directions are recorded: no angle is nil
SCALE = 4.0  # s, which the paper does not print for this figure

# length, learning rates and scale are those with which ArcFace brings the eight people apart
TOY = Recipe(
    ArcFace(SCALE, 0.5),
    data="lfw/8/48",
    backbone="InterFace-Toy",
    embedding_dim=2,
    epochs=60,
    batch_size=16,
    optimizer="adam",
    lr=2e-3,
    head_lr_factor=5.0,
    weight_decay=0.0,
    schedule="cosine",
    warmup=0.05,
    normalisation="whitened",
)


def rows(chosen: SimpleNamespace) -> dict[str, Row]:
    """The losses of the figure. Its cid has d_inter = π/4, as §II.e says, and not the π/2 of Table VI."""
    common = {"scale": chosen.scale, "alpha": chosen.alpha, "sign": chosen.sign}
    margins: dict[str, Margin] = {
        BASE: ArcFace(chosen.scale, 0.5),
        "InterFace cid&ct": InterFace.cid_ct(**common, d_inter=math.pi / 4),
        "InterFace did&ct": InterFace.did_ct(**common),
        "InterFace did&dt": InterFace.did_dt(**common),
    }
    base = replace(TOY, data=chosen.data, epochs=chosen.epochs)
    return {name: Row(replace(base, margin=margin)) for name, margin in margins.items()}


@dataclass(frozen=True, eq=False)
class Circle:
    """C classes and N training images on the circle, in degrees; classes in the order in which they lie on it.

    centres: (C,) where the class weights are, ascending, in [0, 360). classes: (C,) int, which classes these are.
    samples: (N,) where the images are. labels: (N,) int.
    gaps: (C,) from a centre to the next, the last to the first; their sum is 360. Half-way is the decision boundary.
    off: (N,) from its centre to each image, in [-180, 180).
    spreads: (C,) the root mean square of a class's.
    """

    centres: np.ndarray
    classes: np.ndarray
    samples: np.ndarray
    labels: np.ndarray
    gaps: np.ndarray
    off: np.ndarray
    spreads: np.ndarray


def circle(run: Run) -> Circle:
    """A run's training images and class weights."""
    samples, weights = (_degrees(run.arrays[name]) for name in ("train_directions", "class_directions"))
    labels = run.arrays["train_labels"].astype(int)
    classes = np.argsort(weights)
    centres = weights[classes]
    off = (samples - weights[labels] + 180) % 360 - 180
    return Circle(
        centres=centres,
        classes=classes,
        samples=samples,
        labels=labels,
        gaps=np.diff(centres, append=centres[0] + 360),
        off=off,
        spreads=np.array([np.sqrt((off[labels == c] ** 2).mean()) for c in classes]),
    )


# what can be said of a circle in a number
MEASURES: dict[str, Callable[[Circle], float]] = {
    "spread of a class, °": lambda found: float(found.spreads.mean()),
    "median angle to the centre, °": lambda found: float(np.median(np.abs(found.off))),
    "smallest angle between centres, °": lambda found: float(found.gaps.min()),
    "unevenness of these angles, °": lambda found: float(found.gaps.std()),
}
# what §II.e claims of InterFace: samples "better distributed around the class centers", and these "more uniformly"
CLAIMS = {
    "spread of a class, °": "spread of a class",
    "unevenness of these angles, °": "unevenness of centres",
    "smallest angle between centres, °": "least angle of centres",
}


def film(run: Run) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Angles of images (F, N) and class weights (F, C) in degrees, and the steps (F,) of the frames.

    A run that was interrupted has no film, and its end is the one frame.
    """
    if "film_steps" in run.arrays:
        images, weights = (np.degrees(run.arrays[name].astype(np.float64)) for name in ("film_images", "film_classes"))
        return images, weights, run.arrays["film_steps"]
    images, weights = (_degrees(run.arrays[name])[None] for name in ("train_directions", "class_directions"))
    return images, weights, np.array([run.provenance["steps"]])


def apart(runs: Runs) -> Runs:
    """The runs with those seeds with which every loss brings the classes apart; all runs where there is no such seed.

    Beyond θ = π - m the target logit rises with the angle, and what starts there is pulled to the far side, images and class
    weights alike. A run counts as failed where the images of some class are more than 90° from its centre (root mean square).
    """
    well = [all(circle(run).spreads.max() < 90 for run in same_seed) for same_seed in zip(*runs.values(), strict=True)]
    chosen = {name: [run for run, ok in zip(group, well, strict=True) if ok] for name, group in runs.items()}
    return chosen if any(well) else runs


def failures(runs: Runs) -> str:
    """How many runs of each loss failed, in a sentence."""
    counts = ", ".join(f"{name} {sum(circle(run).spreads.max() >= 90 for run in group)}" for name, group in runs.items())
    seeds = [run.recipe.seed for run in next(iter(apart(runs).values()))]
    return f"Of {len(next(iter(runs.values())))} runs a loss, these failed: {counts}. What follows is over the seeds {seeds}."


def table(results: Results) -> pd.DataFrame:
    """How the classes lie on the circle with each loss: the mean over the seeds of `apart` with its 95 % interval."""
    lines = []
    for name, group in apart(results.runs).items():
        line = {"loss": name}
        for measure in MEASURES:
            line[measure] = estimate([_measured(measure, run) for run in group]).format(".1f")
        accuracy = estimate([100 * run.metrics["accuracy"] for run in group])
        lines.append(line | {"accuracy on other images, %": accuracy.format(".1f")})
    return pd.DataFrame(lines)


def claims(results: Results) -> list[Above]:
    """Less spread, less uneven, and the nearest centres further apart than with ArcFace."""
    return [
        Above(name, BASE, (), f"{name}: {what}", larger="least" in what, value=partial(_angle, measure))
        for measure, what in CLAIMS.items()
        for name in results.runs
        if name != BASE
    ]


def _measured(measure: str, run: Run) -> float:
    return MEASURES[measure](circle(run))


def _angle(measure: str, run: Run) -> float:
    return max(_measured(measure, run), RESOLUTION)


def _degrees(directions: np.ndarray) -> np.ndarray:
    x, y = directions.astype(np.float64).T
    return np.degrees(np.arctan2(y, x)) % 360


FIGURE2 = Item(
    "InterFace",
    "Figure 2",
    notebook="figure2",
    parameters={"alpha": 0.1, "sign": SIGNS, "scale": SCALE, "data": TOY.data, "epochs": TOY.epochs},
    rows=rows,
    seeds=range(16),  # more than elsewhere, because some leave classes where they cannot be told apart
    claims=claims,
    compared=lambda results: apart(results.runs),
    tabulate=table,
)
