"""How much the same training differs from time to time: what people reported, and our own recorded runs."""

import re
from dataclasses import dataclass, replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from marginface.book import published
from marginface.book.audit.numbers import borda
from marginface.book.audit.numbers.granularity import PAIRS
from marginface.book.papers import grids
from marginface.book.records import lookup
from marginface.evaluation.statistics import estimate, friedman, mcnemar
from marginface.training import Run
from marginface.training.recipes import Recipe

PARAMETERS = {
    ("InterFace", 2): "a",
    ("InterFace", 3): "α",
    ("InterFace", 4): "a",
    ("InterFace", 5): "b",
    ("ArcFace", 5): "weight decay",
    ("ArcFace", 6): "m",
    ("IAM", 3): "β",
    ("IAM", 4): "β",
}
LFW_PAIRS = PAIRS["LFW"]
COLUMNS = {"weight decay": "weight_decay", "m": "m", "β": "beta"}


@dataclass(frozen=True)
class Reported:
    """An LFW accuracy in percent that somebody posted; `run` "-" is a model that its author released."""

    source: str
    setting: str
    run: str
    accuracy: float


def reported_lfw() -> list[Reported]:
    """What people posted for LFW; where ten folds were posted without their mean, their mean."""
    table = published.repeat_runs()
    table["setting"] = table["setting"].where(table["setting"] != "same").ffill()
    table["place"] = table["source"].str.split(" ").str[0]
    found: dict[tuple[str, str, str], Reported] = {}
    for line in table[table["metric"].str.startswith("LFW")].to_dict("records"):
        numbers = [float(number) for number in re.findall(r"\d+(?:\.\d+)?", line["value"])]
        value = float(np.mean(numbers)) if "fold 1" in line["metric"] else numbers[0]
        accuracy = value if "%" in line["metric"] else 100 * value
        if "failed" not in line["setting"]:  # its author says that the pre-processing was wrong
            key = (line["place"], line["setting"], line["run"])
            found[key] = Reported(*key, round(accuracy, 3))  # the mean as posted comes after the folds, and stands
    return list(found.values())


def reported_table() -> pd.DataFrame:
    """The posted accuracies on LFW with their sources."""
    lines = []
    for each in reported_lfw():
        run = "released model" if each.run == "-" else f"run {each.run}"
        lines.append((each.setting, run, f"{each.accuracy:.2f}", each.source))
    return pd.DataFrame(lines, columns=["setting", "run", "LFW, %", "source"])


def trained_twice() -> dict[str, float]:
    """By how many percent two trainings of one setting by one person differ on LFW."""
    groups: dict[tuple[str, str], list[float]] = {}
    for each in reported_lfw():
        if each.run != "-":
            groups.setdefault((each.source, each.setting), []).append(each.accuracy)
    return {setting: max(values) - min(values) for (_, setting), values in groups.items() if len(values) > 1}


def sphereface20() -> list[float]:
    """LFW accuracies of SphereFace-20 on CASIA, retrained by several people."""
    return [each.accuracy for each in reported_lfw() if re.search("sphere(face-)?20", each.setting, re.I) and each.run != "-"]


def reported_summary() -> str:
    """How far trainings of the same are apart, in a few sentences."""
    gaps = " and ".join(f"{gap:.2f} % ({gap * LFW_PAIRS / 100:.0f} pairs)" for gap in trained_twice().values())
    released = [each.accuracy for each in reported_lfw() if each.run == "-"]
    many = estimate(sphereface20())
    reach = 1.96 * 2**0.5 * many.std
    return (
        f"Two trainings of one setting by one person differ by {gaps}. {many.runs} trainings of SphereFace-20 on CASIA, by "
        f"several people and not alike in every detail, have a mean of {many.mean:.2f} % and a standard deviation of "
        f"{many.std:.2f} %, so that two of them differ by up to {reach:.2f} % ({reach * LFW_PAIRS / 100:.0f} pairs) 95 times "
        f"in 100. Even one released model was tested to {max(released):.2f} and {min(released):.2f} % by two people."
    )


def magface_table() -> pd.DataFrame:
    """TAR on IJB of MagFace as InterFace Table VII cites it, of somebody's retraining, and InterFace's lead there."""
    printed = published.table("interface", 7)
    retrained = published.repeat_runs().set_index("metric")["value"]
    lines = []
    for name in ("IJB-B", "IJB-C"):
        again = [100 * float(value) for value in retrained[f"{name.replace('-', '')} TAR@1e-6..1e-1"].split()]
        for place, far in enumerate(("1e-6", "1e-5", "1e-4")):
            column = printed[(printed["benchmark"] == name) & (printed["metric"] == f"tar@far={far}_pct")]
            cited = float(column.loc[column["method"].str.startswith("MagFace"), "value"].iloc[0])
            lead = column.loc[column["ours"] == 1, "value"].max() - column.loc[column["ours"] == 0, "value"].max()
            lines.append((name, far, f"{cited:.2f}", f"{again[place]:.2f}", f"{again[place] - cited:+.2f}", f"{lead:+.2f}"))
    columns = ["test", "FAR", "MagFace, cited", "retrained", "difference", "InterFace ahead of the best other"]
    return pd.DataFrame(lines, columns=columns)


def recorded_groups() -> list[list[Run]]:
    """Our own recorded runs that differ in nothing but their seed, at least two each."""
    grouped: dict[Recipe, list[Run]] = {}
    for recipe in dict.fromkeys(recipe for recipes in grids().values() for recipe in recipes):
        run = lookup(recipe)
        if run is not None:
            grouped.setdefault(replace(recipe, seed=0), []).append(run)
    return [runs for runs in grouped.values() if len(runs) > 1]


def decisions(run: Run) -> dict[str, np.ndarray]:
    """Which samples a run judged rightly, by test and number of samples."""
    found = {}
    for key, array in run.arrays.items():
        if key.endswith("correct"):
            name = _classes(run) if key == "test_correct" else key.removesuffix(" correct")
            found[f"{name}, {len(array):,} samples"] = array.astype(bool)
    return found


def _classes(run: Run) -> str:
    return "MNIST" if run.recipe.data == "mnist" else run.data_label


@dataclass(frozen=True)
class Spread:
    """Over seeds: the pooled standard deviation of the accuracy in percent, what pairs alone give, and the errors in common."""

    test: str
    groups: int
    runs: int
    accuracy: float
    std: float
    sampling: float
    differing: float  # of the errors of two trainings, which part only one of them makes
    significant: float  # part of the pairs of trainings that McNemar's test calls different


def spreads() -> list[Spread]:
    """The spread of our own runs on every test that they recorded decisions for."""
    groups = [[decisions(run) for run in runs] for runs in recorded_groups()]
    found = []
    for test in dict.fromkeys(name for group in groups for name in group[0]):
        mine = [[np.asarray(run[test]) for run in group] for group in groups if all(test in run for run in group)]
        means = [[100 * run.mean() for run in group] for group in mine]
        freedom = sum(len(group) - 1 for group in means)
        std = (sum(np.var(group, ddof=1) * (len(group) - 1) for group in means) / freedom) ** 0.5
        accuracy, samples = float(np.mean(np.concatenate(means))), len(mine[0][0])
        couples = [(a, b) for group in mine for i, a in enumerate(group) for b in group[:i]]
        apart = sum(int((a ^ b).sum()) for a, b in couples) / max(1, sum(int((~a).sum() + (~b).sum()) for a, b in couples))
        different = float(np.mean([mcnemar(a, b).p_value < 0.05 for a, b in couples]))
        sampling = float((accuracy * (100 - accuracy) / samples) ** 0.5)
        runs = sum(map(len, mine))
        found.append(Spread(test, len(mine), runs, accuracy, float(std), sampling, apart, different))
    return found


def spreads_table() -> pd.DataFrame:
    """Our own runs: how far two trainings that differ in nothing but their seed are apart."""
    lines = [
        (
            each.test,
            f"{each.runs} runs of {each.groups} settings",
            f"{each.accuracy:.2f}",
            f"{each.std:.2f}",
            f"{1.96 * 2**0.5 * each.std:.2f}",
            f"{each.sampling:.2f}",
            f"{each.differing:.0%}",
            f"{each.significant:.0%}",
        )
        for each in spreads()
    ]
    columns = ["test", "recorded", "mean accuracy, %", "std over seeds, %", "two runs differ by up to (95 %)"]
    columns += ["std from the samples alone, %", "errors that only one of two makes", "two runs “differ significantly”"]
    return pd.DataFrame(lines, columns=columns)


def parameter_scores(paper: str, number: int) -> tuple[list[str], np.ndarray]:
    """The settings of a parameter table and their accuracies (benchmarks, settings), with a known misprint put right."""
    if paper == "InterFace":
        count = borda.printed(number, mend=True)
        return list(count.settings), count.accuracy
    table = published.table(paper.lower(), number)
    single = table[table["metric"] == "accuracy_pct"]
    scores = single.pivot_table("value", "benchmark", "row", sort=False)
    labels = single.drop_duplicates("row").set_index("row").loc[scores.columns, COLUMNS[PARAMETERS[paper, number]]]
    return [f"{label:g}" if isinstance(label, float) else str(label) for label in labels], scores.to_numpy()


def friedman_table() -> pd.DataFrame:
    """Friedman's test of every parameter table, and how many settings Nemenyi's test sets apart from the best."""
    lines = []
    for (paper, number), parameter in PARAMETERS.items():
        labels, scores = parameter_scores(paper, number)
        test = friedman(scores)
        best = int(test.mean_ranks.argmin())
        limit = test.mean_ranks[best] + test.critical_difference
        apart = [label for label, rank in zip(labels, test.mean_ranks, strict=True) if rank > limit]
        lines.append(
            (
                f"{paper} Table {number}",
                f"{parameter}, {len(labels)} settings on {len(scores)} test sets",
                labels[best],
                f"{test.mean_ranks[best]:.1f}",
                f"{test.p_value:.3f}",
                f"{test.critical_difference:.1f}",
                ", ".join(apart) or "none",
            )
        )
    columns = [
        "table",
        "parameter",
        "best setting",
        "its mean rank",
        "Friedman p",
        "critical difference",
        "set apart from the best",
    ]
    return pd.DataFrame(lines, columns=columns)


def reported_figure() -> Figure:
    """The posted LFW accuracies, a row for each source."""
    groups: dict[str, list[Reported]] = {}
    for each in reported_lfw():
        groups.setdefault(each.source.removeprefix("github.com/"), []).append(each)
    figure, axes = plt.subplots(figsize=(7.5, 0.9 + 0.34 * len(groups)))
    for place, group in enumerate(groups.values()):
        axes.plot([each.accuracy for each in group], [place] * len(group), color="0.7", zorder=0)
        for each in group:
            axes.plot(each.accuracy, place, "s" if each.run == "-" else "o", color="C7" if each.run == "-" else "C0")
    axes.set(
        yticks=range(len(groups)), yticklabels=list(groups), xlabel="LFW, % (a square: the model that the author released)"
    )
    axes.invert_yaxis()
    return figure
