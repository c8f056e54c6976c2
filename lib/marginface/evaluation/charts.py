"""ROC and DET of scores, drawn to a file."""

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from marginface.evaluation.curves import det, roc

ENDINGS = (".png", ".svg", ".pdf")
MOST_POINTS = 2000  # of a curve, so that a drawing of lines stays small


def roc_and_det(scores: ArrayLike, same: ArrayLike, path: str | Path, title: str = "") -> None:
    """Draw both curves of P pairs beside each other. FARs that no pair can show are left out.

    Raises: ValueError for another ending than .png, .svg, .pdf.
    """
    from matplotlib.figure import Figure

    path = Path(path)
    if path.suffix.lower() not in ENDINGS:
        raise ValueError(f"{path}: a plot is one of {', '.join(ENDINGS)}")
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
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def _some(far: np.ndarray) -> np.ndarray:
    """Places of points with a FAR above 0, as many at each power of ten."""
    places = np.flatnonzero(far > 0)
    if len(places) <= MOST_POINTS:
        return places
    wanted = np.geomspace(far[places[0]], 1, MOST_POINTS)
    return np.unique(np.clip(np.searchsorted(far, wanted), places[0], len(far) - 1))
