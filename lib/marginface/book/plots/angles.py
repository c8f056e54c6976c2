"""Where classes lie on the sphere, for all losses in one figure."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from marginface.book.angles import HIGH, LOW, MIDDLE, quantiles
from marginface.book.obtain import Runs
from marginface.book.plots.display import COLOURS

SHOWN = {
    "own": "sample to its class weight",
    "nearest": "sample to the nearest other",
    "weights": "class weight to the nearest other",
}


def class_angles(beds: Mapping[str, Runs]) -> Figure:
    """A line a loss, a panel a test bed: medians, and bars over 90 % of the samples or classes."""
    names = list(dict.fromkeys(name for runs in beds.values() for name in runs))
    height = 1.2 + 0.42 * len(names)
    figure, panels = plt.subplots(1, len(beds), figsize=(9, height), sharey=True, squeeze=False, layout="constrained")
    for axes, (bed, runs) in zip(panels[0], beds.items(), strict=True):
        for name, group in runs.items():
            for offset, (quantity, colour) in enumerate(zip(SHOWN, COLOURS, strict=False)):
                low, middle, high = quantiles(group, quantity)[[LOW, MIDDLE, HIGH]]
                place = names.index(name) + 0.22 * (offset - 1)
                label = SHOWN[quantity] if name == next(iter(runs)) else None
                axes.plot([low, high], [place, place], color=colour, linewidth=3, alpha=0.4)
                axes.plot(middle, place, "o", color=colour, markersize=5, label=label)
        axes.set(title=bed, xlabel="degrees")
    panels[0][0].set_yticks(range(len(names)), names)
    panels[0][0].invert_yaxis()
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure
