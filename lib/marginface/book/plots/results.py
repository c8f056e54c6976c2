"""What runs came to, and how."""

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from marginface.book import comparison
from marginface.book.papers.arcface import figure4
from marginface.book.plots.looks import LOSSES, looks
from marginface.training import Run

SHORT = 24  # letters of a name, of which three fit side by side


def loss_curves(results: Mapping[str, list[Run]]) -> Figure:
    """The training loss of every run, one colour a loss."""
    columns = 3 if max(map(len, results), default=0) < SHORT else 2
    figure, axes = plt.subplots(figsize=(7, 3 + 0.25 * math.ceil(len(results) / columns)), layout="constrained")
    for name, look in looks(results).items():
        for i, run in enumerate(results[name]):
            axes.plot(run.curves["step"], run.curves["loss"], **look.of_line, alpha=0.7, label=None if i else name)
    axes.set(xlabel="step", ylabel="training loss")
    axes.set_xlim(left=0)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=columns)
    return figure


def accuracies(results: Mapping[str, list[Run]], tests: Sequence[str], label: str = "accuracy, %") -> Figure:
    """Accuracy, or what the label says, on every test, a panel each: a dot for a run and a line at the mean."""
    height = 0.8 + 0.32 * len(results)
    figure, panels = plt.subplots(1, len(tests), figsize=(9, height), sharey=True, squeeze=False, layout="constrained")
    for axes, test in zip(panels[0], tests, strict=True):
        for place, (name, look) in enumerate(looks(results).items()):
            values = [100 * run.metrics[test] for run in results[name]]
            axes.plot(values, [place] * len(values), **look.of_dots, alpha=0.7, markersize=5)
            axes.plot([np.mean(values)] * 2, [place - 0.3, place + 0.3], color=look.colour, linewidth=2)
        axes.set(title=comparison.title(test), xlabel=label)
    panels[0][0].set_yticks(range(len(results)), list(results))
    panels[0][0].invert_yaxis()
    return figure


def parameter(
    results: Mapping[float, list[Run]],
    base: list[Run],
    halves: Mapping[str, float],
    name: str,
    chosen: float | None = None,
) -> Figure:
    """Accuracy over the values of a parameter, a panel a test: the mean with its interval, and a thin line for each seed.

    Arguments:
        base: ArcFace's runs: a line at their mean, and a band as wide as the intervals.
        halves: for each test, half the width of the intervals in points, NaN where it is unknown.
        chosen: the value that the paper goes on with, marked by a line.
    """
    figure, panels = plt.subplots(1, len(halves), figsize=(9, 3.4), squeeze=False, layout="constrained")
    values, own, base_look = list(results), LOSSES["InterFace"], LOSSES["ArcFace"]
    for axes, (test, half) in zip(panels[0], halves.items(), strict=True):
        accuracy = np.array([[100 * run.metrics[test] for run in group] for group in results.values()])
        level = float(np.mean([100 * run.metrics[test] for run in base]))
        if chosen is not None:
            axes.axvline(chosen, color="0.3", linestyle=":", label="the paper's choice")
        for i, line in enumerate(accuracy.T):
            axes.plot(values, line, ".-", color="0.6", linewidth=0.6, markersize=4, label=None if i else "runs of one seed")
        axes.axhline(level, color=base_look.colour, linewidth=1, label="ArcFace")
        mean = accuracy.mean(axis=1)
        axes.plot(values, mean, color=own.colour, marker=own.marker, linewidth=1, markersize=5, label="InterFace, mean")
        if np.isfinite(half):
            axes.axhspan(level - half, level + half, color=base_look.colour, alpha=0.15, linewidth=0)
            axes.errorbar(values, mean, half, fmt="none", ecolor=own.colour, capsize=3)
        axes.set(title=test, xlabel=name, xticks=values)
    panels[0][0].set_ylabel("accuracy, %")
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def target_logits(results: Mapping[str, list[Run]]) -> Figure:
    """ArcFace Figure 4 (b): the mean target logit of the training images over the course of the runs, a thin line for each."""
    figure, axes = plt.subplots(figsize=(7, 3.4))
    for name, look in looks(results).items():
        every = np.array([figure4.target_logits(run) for run in results[name]])
        course = (np.arange(every.shape[1]) + 0.5) / every.shape[1]
        axes.plot(course, every.T, color=look.colour, linewidth=0.5, alpha=0.5)
        axes.plot(course, every.mean(axis=0), **look.of_line, label=name)
    axes.set(xlabel="course of the training", ylabel="mean target logit T(θ)", xlim=(0, 1))
    axes.legend()
    return figure


def theta_histograms(results: Mapping[str, list[Run]]) -> Figure:
    """How the angles between training images and their classes are spread at the start, in the middle and at the end."""
    figure, panels = plt.subplots(1, 3, figsize=(9, 3.2), sharex=True, sharey=True, layout="constrained")
    for axes, (title, stretch) in zip(panels, {"start": 0, "middle": 0.5, "end": 1}.items(), strict=True):
        for name, look in looks(results).items():
            counts = np.sum([run.arrays["theta_histogram"] for run in results[name]], axis=0)
            row = counts[round(stretch * (len(counts) - 1))]
            degrees = (np.arange(len(row)) + 0.5) * 180 / len(row)
            axes.plot(degrees, row / max(row.sum(), 1), **look.of_line, label=name)
        axes.set(title=title if results else "nothing is recorded", xlabel="θ_y, degrees", xlim=(0, 130))
    panels[0].set_ylabel("share of images")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure
