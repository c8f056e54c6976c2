"""ROC and DET of scores, drawn to a file."""

from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import ArrayLike

from marginface.evaluation.curves import det, last_of_equal, roc

ENDINGS = (".png", ".svg", ".pdf")
MOST_POINTS = 2000  # of a curve, so that a drawing of lines stays small


def kind_of(path: Path) -> str:
    """The kind of plot that a file is to be, one of `ENDINGS`. Raises: ValueError for another ending."""
    if path.suffix.lower() not in ENDINGS:
        raise ValueError(f"{path}: a plot is one of {', '.join(ENDINGS)}")
    return path.suffix.lower()


def roc_and_det(scores: ArrayLike, same: ArrayLike, file: BinaryIO, kind: str = ENDINGS[0], title: str = "") -> None:
    """Draw both curves of P pairs beside each other, as one of `ENDINGS`. FARs that no pair can show are left out."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    curve, errors = roc(scores, same), det(scores, same)
    shown = _some(curve.far)
    left.step(curve.far[shown], curve.tar[shown], where="post")
    left.set(xscale="log", xlabel="FAR", ylabel="TAR", ylim=(0, 1.02), title="ROC")
    there = shown[(errors.far[shown] > 0) & (errors.frr[shown] > 0)]
    right.loglog(errors.far[there], errors.frr[there])
    right.set(xlabel="FAR", ylabel="FRR", title="DET")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.suptitle(title)
    figure.savefig(file, format=kind[1:], dpi=150)


def _some(far: np.ndarray) -> np.ndarray:
    """Places of points with a FAR above 0, as many at each power of ten; of equal FARs the last, whose TAR is the highest."""
    last = last_of_equal(far)
    places = last[far[last] > 0]
    if len(places) <= MOST_POINTS:
        return places
    wanted = np.geomspace(far[places[0]], 1, MOST_POINTS)
    return places[np.unique(np.clip(np.searchsorted(far[places], wanted), 0, len(places) - 1))]
