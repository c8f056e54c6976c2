"""Effects over a parameter, and curves of searches."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from marginface.book.effects import Effect
from marginface.book.plots.display import COLOURS
from marginface.book.plots.looks import looks


def effect_curves(beds: Mapping[str, Mapping[float, Effect]], name: str = "β") -> Figure:
    """By how many percent errors change over a parameter, a panel a test bed: a line, a band of 95 %, and what is printed."""
    shown = {bed: curve for bed, curve in beds.items() if curve}
    figure, panels = plt.subplots(1, max(len(shown), 1), figsize=(9, 3.6), squeeze=False, layout="constrained")
    for axes, (bed, curve) in zip(panels[0], shown.items(), strict=False):
        values = np.array(list(curve))
        share, low, high = (np.array([pick(each) for each in curve.values()]) * 100 for pick in (_share, _low, _high))
        axes.axhline(0, color="0.4", linewidth=0.8)
        axes.fill_between(values, low, high, color=COLOURS[0], alpha=0.2, linewidth=0)
        axes.plot(values, share, "o-", color=COLOURS[0], markersize=4, label="measured, with its interval")
        printed = [(value, 100 * each.claim.printed) for value, each in curve.items() if each.claim.printed is not None]
        if printed:
            axes.plot(*zip(*printed, strict=True), "D", color="none", markeredgecolor=COLOURS[1], label="printed, on faces")
        axes.set(title=bed, xlabel=name, xscale="log")
        axes.set_xticks(values, [f"{value:g}" for value in values], rotation=90, fontsize=7)
        axes.minorticks_off()
    panels[0][0].set_ylabel("errors change by, %")
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def search_curves(curves: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]], label: str) -> Figure:
    """CMC or ROC: the mean over seeds of every row with the range of its runs, over ranks or FARs, (K,) and (S, K) each."""
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for name, look in looks(curves).items():
        x, shares = curves[name]
        axes.fill_between(x, 100 * shares.min(axis=0), 100 * shares.max(axis=0), color=look.colour, alpha=0.2, linewidth=0)
        axes.plot(x, 100 * shares.mean(axis=0), **look.of_line, label=name)
    axes.set(xscale="log", xlabel=label, ylabel="found, %" if label.startswith("rank") else "accepted, %")
    if curves:
        axes.legend()
    return figure


def _share(effect: Effect) -> float:
    return effect.share


def _low(effect: Effect) -> float:
    return effect.interval[0]


def _high(effect: Effect) -> float:
    return effect.interval[1]
