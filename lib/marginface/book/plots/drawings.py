"""Drawings of what a paper explains by a picture, made from the losses and networks themselves."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Wedge
from matplotlib.ticker import LogLocator, NullFormatter

from marginface.backbones.lresnet import Unit
from marginface.book.papers.arcface import figure7
from marginface.book.papers.interface.figure1 import boundary
from marginface.book.plots.display import COLOURS
from marginface.margins import ArcFace

STEP_HEIGHT, STEP_WIDTH = 0.62, 1.7
SUM = {"boxstyle": "circle", "facecolor": "none", "edgecolor": "0.4"}
ARROW = {"arrowstyle": "->", "color": "0.4"}


def arc_margin(m: float, apart: float = 90.0, samples: int = 40) -> Figure:
    """ArcFace Figure 1: two classes in the plane of their centres, and the angle of the margin as an arc."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained")
    (reach,) = boundary(ArcFace(m=m), np.array([apart]))
    middle, half = 90.0, apart / 2
    edges = middle + half - reach, middle - half + reach
    for ax in (left, right):
        circle = np.radians(np.linspace(0, 360, 361))
        ax.plot(np.cos(circle), np.sin(circle), color="0.7", linewidth=1)
        ax.add_patch(Wedge((0, 0), 1, edges[1], edges[0], color="0.6", alpha=0.35, linewidth=0))
        ax.plot(*_way(edges[1], edges[0]), color=COLOURS[3], linewidth=3)
        ax.set(aspect="equal", xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        ax.grid(visible=False)
    numbers = np.random.default_rng(0)
    for centre, colour, name in ((middle + half, COLOURS[0], "class 1"), (middle - half, COLOURS[2], "class 2")):
        angles = centre + reach * (2 * numbers.beta(3, 3, samples) - 1)
        left.plot(*_at(angles), "o", color=colour, markersize=4, alpha=0.7)
        left.plot(*np.stack([[0, 0], _at(centre)], axis=1), color=colour, linewidth=2)
        left.text(*_at(centre, 1.15), name, color=colour, ha="center")
    for edge in edges:
        for ax in (left, right):
            ax.plot(*np.stack([[0, 0], _at(edge)], axis=1), "--", color="0.4", linewidth=1)
    left.set(title="(a) a margin between the regions", xlim=(-1.3, 1.3), ylim=(-0.15, 1.3))
    right.plot(*_way(edges[1], edges[0], 0.3), color="0.3", linewidth=1)
    right.text(*_at(middle, 0.38), f"{math.degrees(m):.1f}°", ha="center", va="bottom")
    right.text(*_at(middle, 1.06), f"arc of length m = {m:g}", ha="center", va="bottom", color=COLOURS[3])
    right.set(title="(b) the angle is the length of the arc", xlim=(-0.7, 0.7), ylim=(-0.05, 1.25))
    return figure


def _at(degrees: np.ndarray | float, radius: float = 1.0) -> np.ndarray:
    return radius * np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])


def _way(start: float, end: float, radius: float = 1.0) -> np.ndarray:
    return _at(np.linspace(start, end, 100), radius)


def residual_unit(units: dict[str, Unit]) -> Figure:
    """ArcFace Figure 7: the layers of units from top to bottom, as they compute; beside each its shortcut."""
    figure, panels = plt.subplots(1, len(units), figsize=(4.6 * len(units), 5.6), layout="constrained", squeeze=False)
    for ax, (name, unit) in zip(panels[0], units.items(), strict=True):
        _unit(ax, unit)
        ax.set(title=name, xlim=(-1.7, 2.9), xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        ax.grid(visible=False)
    return figure


def _unit(ax: Axes, unit: Unit) -> None:
    steps = figure7.steps(unit)
    body, shortcut, last = ([step for step in steps if step.path == path] for path in ("body", "shortcut", "last"))
    bottom = -len(body) - 1.0
    for path, x in ((body, 0.0), (shortcut, 2.0)):
        first = -(len(body) - len(path)) / 2
        places = [first - 1 - i for i in range(len(path))]
        for place, step in zip(places, path, strict=True):
            _box(ax, x, place, f"{step.kind}\n{step.detail}".strip())
        for above, below in zip([0.0, *places], [*places, bottom], strict=True):
            start, end = above - (STEP_HEIGHT / 2 if above else 0), below + STEP_HEIGHT / 2
            bend = 0.0 if x == 0 or above else 2.0
            ax.annotate("", (x if below != bottom else min(x, 0.25), end), (x - bend, start), arrowprops=ARROW)
    ax.text(0, 0.05, f"{figure7.INPUTS} × {figure7.SIDE} × {figure7.SIDE}", ha="center", va="bottom")
    ax.text(
        0,
        bottom,
        "+",
        ha="center",
        va="center",
        fontsize=14,
        bbox=SUM,
    )
    for i, step in enumerate(last):
        _box(ax, 0, bottom - 1 - i, step.kind)
        ax.annotate("", (0, bottom - 1 - i + STEP_HEIGHT / 2), (0, bottom - i - 0.3), arrowprops=ARROW)
    out = steps[-1].shape
    end = bottom - len(last) - 0.75
    ax.text(0, end, " × ".join(map(str, out)), ha="center", va="top")
    ax.set_ylim(end - 0.5, 0.5)


def _box(ax: Axes, x: float, y: float, text: str) -> None:
    place = (x - STEP_WIDTH / 2, y - STEP_HEIGHT / 2)
    ax.add_patch(FancyBboxPatch(place, STEP_WIDTH, STEP_HEIGHT, boxstyle="round,pad=0.02", facecolor=COLOURS[0], alpha=0.15))
    kind, _, detail = text.partition("\n")
    ax.text(x, y + (0.12 if detail else 0), kind, ha="center", va="center", weight="bold", fontsize=9)
    if detail:
        ax.text(x, y - 0.15, detail, ha="center", va="center", fontsize=6.5)


def sizes_and_speeds(ours: pd.DataFrame, sizes: pd.Series, speeds: pd.Series) -> Figure:
    """ArcFace Table 8: each network's size and time an image here over those printed, on logarithmic axes."""
    figure, panels = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
    for ax, own, theirs, unit in zip(panels, (ours.size_mb, ours.ms), (sizes, speeds), ("MB", "ms"), strict=True):
        for i, name in enumerate(theirs.index):
            ax.plot(theirs[name], own[name], "o", color=COLOURS[i % len(COLOURS)], label=name)
        ax.set(xscale="log", yscale="log", xlabel=f"printed, {unit}", ylabel=f"here, {unit}")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter(NullFormatter())
    panels[0].axline((100, 100), (600, 600), color="0.6", linewidth=0.8)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    return figure
