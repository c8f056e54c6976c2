"""Modules one after the other, with the shapes that pass between them."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from marginface.book.papers.iam.figure1 import Stage
from marginface.book.plots.display import COLOURS


def pipeline(stages: Sequence[Stage]) -> Figure:
    """IAM Figure 1: a box for each stage, in the colour of its part, and the shape that leaves it on the arrow below."""
    parts = list(dict.fromkeys(stage.part for stage in stages))
    figure, axes = plt.subplots(figsize=(7, 0.62 * len(stages)), layout="constrained")
    for place, stage in enumerate(stages):
        colour = COLOURS[parts.index(stage.part)]
        box = {"boxstyle": "round,pad=0.35", "facecolor": colour, "alpha": 0.25, "edgecolor": colour}
        axes.text(0, -place, stage.title, ha="center", va="center", bbox=box)
        axes.text(1.05, -place - 0.5, " × ".join(f"{side:,}" for side in stage.shape) or "one number", va="center", color="0.4")
        if place + 1 < len(stages):
            axes.annotate("", (0, -place - 0.72), (0, -place - 0.28), arrowprops={"arrowstyle": "->", "color": "0.4"})
    axes.set(xlim=(-1.6, 2.4), ylim=(-len(stages) + 0.2, 0.6))
    axes.set_axis_off()
    return figure
