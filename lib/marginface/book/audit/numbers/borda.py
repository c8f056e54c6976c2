"""The Borda counts of InterFace Tables I–V, counted again from the printed accuracies."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from marginface.book import published
from marginface.book.verdicts import Claim
from marginface.evaluation import statistics

RULES = {
    "min": "methods that tie get the points of the lowest of their places",
    "max": "the highest of their places",
    "average": "the mean of their places",
    "dense": "the same points, and the next better one point more",
    "ordinal": "methods that tie get more points the further down the table they stand",
}
# a digit misprinted in the table: the printed points of its column, and every other value there, say 99.367
MISPRINT = {(4, "LFW", "93.367"): 99.367}
DEMONSTRATED = "We experimentally demonstrate that the redefined ArcFace and the original ArcFace losses are equivalent"


@dataclass(frozen=True)
class Count:
    """A printed table of M settings on B benchmarks.

    `accuracy` and `points` are (B, M), in percent and as printed; `sums` are the printed sums, (M,). `selected` is the place
    of the setting that the text goes on with, None where it selects none.
    """

    number: int
    parameter: str
    settings: tuple[str, ...]
    benchmarks: tuple[str, ...]
    accuracy: NDArray[np.float64]
    points: NDArray[np.int64]
    sums: NDArray[np.int64]
    selected: int | None

    @property
    def name(self) -> str:
        return "Table " + ("I", "II", "III", "IV", "V")[self.number - 1]


# the parameter that each table varies, the value that the text selects, and the sentence that does so
SELECTIONS = {
    1: (
        "m1",
        None,
        "we can show that ArcFace and redefine ArcFace losses are equivalent under the evaluation of the Bount Count "
        "sum(BC sum)",
    ),
    2: ("a", 0.2, "experimental result a is observed to be 0.2 (in Tabel.II)"),
    3: ("alpha", 0.1, "0.1 is the best experimental result observed (in Tabel.III)"),
    4: ("a", 0.3, "we select parameters of the highest BC sum … a = 0.3, b = 0, and α = 0.1"),
    5: ("b", 10.0, "we select parameters of the highest BC sum … a = 0, b = 10, and α = 0.1"),
}  # fmt: skip


def printed(number: int, mend: bool = False) -> Count:
    """InterFace Table I to V, number 1 to 5; with `mend` the misprinted accuracy of Table IV is put right."""
    if number not in SELECTIONS:
        raise ValueError(f"InterFace has Borda counts in its Tables 1 to 5, not in {number}")
    table = published.table("interface", number)
    parameter, selected, _ = SELECTIONS[number]
    total, single = table[table["metric"] == "borda_sum"], table[table["metric"] == "accuracy_pct"].copy()
    if mend:
        for (of, benchmark, text), value in MISPRINT.items():
            cell = (single["table"] == of) & (single["benchmark"] == benchmark) & (single["value_printed"] == text)
            single.loc[cell, "value"] = value
    accuracy = single.pivot_table("value", "benchmark", "row", sort=False)
    points = single.pivot_table("borda_printed", "benchmark", "row", sort=False)
    values = total[parameter].tolist()
    return Count(
        number,
        {"m1": "m₁", "alpha": "α"}.get(parameter, parameter),
        tuple(f"{value:g}" for value in values),
        tuple(accuracy.index),
        accuracy.to_numpy(),
        points.to_numpy().astype(np.int64),
        total["value"].to_numpy().astype(np.int64),
        None if selected is None else values.index(selected),
    )


def recount(count: Count, rule: str) -> NDArray[np.float64]:
    """Points (B, M) from the accuracies under a rule of `RULES`."""
    if rule == "ordinal":
        from scipy.stats import rankdata

        return rankdata(count.accuracy, method="ordinal", axis=1).astype(np.float64)
    return statistics.borda(count.accuracy, rule)  # type: ignore[arg-type]


def nearest_rule(count: Count) -> str:
    """The rule under which the fewest printed points differ; the first of `RULES` where some agree as often."""
    return min(RULES, key=lambda rule: int((recount(count, rule) != count.points).sum()))


def rules_table(mend: bool = True) -> pd.DataFrame:
    """For every table and rule: how many printed points and sums differ from the recount."""
    lines = []
    for number in SELECTIONS:
        count = printed(number, mend)
        line: dict[str, object] = {"table": count.name}
        for rule in RULES:
            ours = recount(count, rule)
            line[rule] = f"{(ours != count.points).sum()} points, {(ours.sum(axis=0) != count.sums).sum()} sums"
        lines.append(line | {"points printed": count.points.size, "nearest rule": nearest_rule(count)})
    return pd.DataFrame(lines)


def disagreements(numbers: Sequence[int] = tuple(SELECTIONS), mend: bool = True) -> pd.DataFrame:
    """Every printed point and sum of some tables that differs from the recount under the rule nearest to its table."""
    return pd.concat([_disagreements(printed(number, mend)) for number in numbers], ignore_index=True)


def _disagreements(count: Count) -> pd.DataFrame:
    rule = nearest_rule(count)
    ours = recount(count, rule)
    lines: list[tuple[str, str, str, str, str, str]] = []
    for b, m in np.argwhere(ours != count.points):
        where, setting = count.benchmarks[b], f"{count.parameter} = {count.settings[m]}"
        accuracy = f"{count.accuracy[b, m]:.3f}"
        lines.append((count.name, rule, setting, where, accuracy, f"{count.points[b, m]} → {ours[b, m]:g}"))
    for m in np.flatnonzero(ours.sum(axis=0) != count.sums):
        setting = f"{count.parameter} = {count.settings[m]}"
        lines.append((count.name, rule, setting, "sum", "", f"{count.sums[m]} → {ours[:, m].sum():g}"))
    return pd.DataFrame(lines, columns=["table", "rule", "setting", "benchmark", "accuracy, %", "printed → counted again"])


def wrong_additions() -> pd.DataFrame:
    """Rows whose printed points do not add up to their printed sum."""
    lines = []
    for number in SELECTIONS:
        count = printed(number)
        for m in np.flatnonzero(count.points.sum(axis=0) != count.sums):
            terms = " + ".join(map(str, count.points[:, m]))
            setting = f"{count.parameter} = {count.settings[m]}"
            lines.append((count.name, setting, f"{terms} = {count.points[:, m].sum()}", int(count.sums[m])))
    return pd.DataFrame(lines, columns=["table", "setting", "printed points", "printed sum"])


def winners(count: Count, rule: str) -> tuple[str, ...]:
    """The settings with the highest sum."""
    sums = recount(count, rule).sum(axis=0)
    return tuple(setting for setting, total in zip(count.settings, sums, strict=True) if total == sums.max())


def without(count: Count, benchmark: int, rule: str) -> tuple[str, ...]:
    """The winners when one benchmark is left out."""
    points = np.delete(recount(count, rule), benchmark, axis=0).sum(axis=0)
    return tuple(setting for setting, total in zip(count.settings, points, strict=True) if total == points.max())


def survival_table() -> pd.DataFrame:
    """Whether the selected setting has the highest sum: under every rule, by the mean, and with one benchmark less."""
    lines = []
    for number in [number for number, (_, selected, _) in SELECTIONS.items() if selected is not None]:
        count = printed(number, mend=True)
        rule = nearest_rule(count)
        line: dict[str, object] = {"table": count.name, "selected": f"{count.parameter} = {_selected(count)}"}
        line |= {each: _sums_line(count, each) for each in RULES}
        mean = count.accuracy.mean(axis=0)
        line["highest mean accuracy"] = count.settings[int(mean.argmax())]
        lost = [name for b, name in enumerate(count.benchmarks) if without(count, b, rule) != (_selected(count),)]
        line["does not win alone without"] = ", ".join(lost) or "–"
        lines.append(line)
    return pd.DataFrame(lines)


def null_sums(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How likely which sums are if every benchmark orders the settings at random: exact.

    Every benchmark's points (a row of `points`, (B, M)) are dealt to the settings in any order, all orders equally likely,
    and independently of the other benchmarks. No setting differs from another then, so that sorted sums are all to be kept.

    Returns: sums (K, M), each row from the lowest to the highest, and their probabilities (K,).
    """
    settings = points.shape[1]
    halves = np.rint(2 * points).astype(np.int64)  # whole numbers, also where methods that tie share the mean of their places
    place = (int(halves.max(axis=1).sum()) + 1) ** np.arange(settings)  # a sum a digit
    sums = np.zeros((1, settings), dtype=np.int64)
    probabilities = np.ones(1)
    for row in halves:
        deals = np.unique(list(permutations(row.tolist())), axis=0)
        after = np.sort((sums[:, None] + deals).reshape(-1, settings), axis=1)
        _, first, which = np.unique(after @ place, return_index=True, return_inverse=True)
        shares = np.repeat(probabilities / len(deals), len(deals))
        probabilities = np.bincount(which, weights=shares).astype(np.float64)
        sums = after[first]
    return sums / 2, probabilities


def winning_sum(sums: NDArray[np.float64], probabilities: NDArray[np.float64]) -> dict[float, float]:
    """The distribution of the highest sum, from `null_sums`."""
    totals, which = np.unique(sums[:, -1], return_inverse=True)
    return dict(zip(totals.tolist(), np.bincount(which, weights=probabilities).tolist(), strict=True))


@dataclass(frozen=True)
class Chance:
    """A table's highest sum beside what chance alone gives: its distribution, and how often it is at least as high."""

    count: Count
    rule: str
    observed: float
    distribution: dict[float, float]
    p_value: float
    all_equal: float  # how often all sums are the same


def chance(number: int) -> Chance:
    """The recount of a table under its nearest rule, against benchmarks that order the settings at random."""
    count = printed(number, mend=True)
    rule = nearest_rule(count)
    points = recount(count, rule)
    sums, probabilities = null_sums(points)
    distribution = winning_sum(sums, probabilities)
    observed = float(points.sum(axis=0).max())
    p_value = sum(p for total, p in distribution.items() if total >= observed)
    equal = float(probabilities[sums[:, 0] == sums[:, -1]].sum())
    return Chance(count, rule, observed, distribution, p_value, equal)


def chances() -> list[Chance]:
    """Every table's."""
    return [chance(number) for number in SELECTIONS]


def chance_table(found: list[Chance]) -> pd.DataFrame:
    """The highest sum of every table, and what is to be expected of settings that do not differ."""
    lines = []
    for each in found:
        mean = sum(total * p for total, p in each.distribution.items())
        lines.append(
            (each.count.name, each.rule, f"{each.observed:g}", f"{mean:.1f}", f"{each.p_value:.0%}", f"{each.all_equal:.2%}")
        )
    columns = [
        "table",
        "rule",
        "highest sum",
        "mean of it by chance",
        "as high or higher by chance",
        "all sums equal by chance",
    ]
    return pd.DataFrame(lines, columns=columns)


def chance_figure(found: list[Chance]) -> Figure:
    """The distribution of the highest sum by chance, a panel for each table that selects, and where the table's is."""
    chosen = [each for each in found if each.count.selected is not None]
    figure, panels = plt.subplots(1, len(chosen), figsize=(9, 2.6), sharey=True)
    for axes, each in zip(panels, chosen, strict=True):
        for total, probability in each.distribution.items():
            axes.bar(total, probability, width=0.8, color="C1" if total >= each.observed else "C0")
        axes.axvline(each.observed, color="black", linewidth=1)
        axes.set(title=f"{each.count.name}: {each.observed:g}", xlabel="highest sum")
    panels[0].set_ylabel("probability by chance")
    return figure


def claims(found: list[Chance]) -> list[Claim]:
    """What InterFace says of its Borda counts."""
    first = next(each for each in found if each.count.number == 1)
    sums = {rule: recount(first.count, rule).sum(axis=0) for rule in RULES}
    own = sums[first.rule]
    listed = "; ".join(f"{rule}: {', '.join(f'{total:g}' for total in totals)}" for rule, totals in sums.items())
    wanted = [
        Claim(
            f"“{SELECTIONS[1][2]}” (read as: the four sums are equal)",
            "§II c, Table I",
            bool((own == first.count.sums).all()),
            listed,
        ),
        Claim(
            f"“{DEMONSTRATED}” (read as: from the equal sums of Table I it follows)",
            "§I, Table I",
            _stretched(first) != own.tolist(),
            f"ranks forget sizes: with every difference a hundred times as large the sums are "
            f"{', '.join(f'{total:g}' for total in _stretched(first))}; and settings that do not differ at all "
            f"have equal sums {first.all_equal:.1%} of the time",
        ),
    ]
    for each in found:
        count = each.count
        if count.selected is None:
            continue
        alone = {rule: winners(count, rule) == (_selected(count),) for rule in RULES}
        wanted.append(
            Claim(
                f"“{SELECTIONS[count.number][2]}”: {count.parameter} = {_selected(count)} has the highest sum "
                "(read as: no other has a higher one)",
                f"§II d, {count.name}",
                _selected(count) in winners(count, each.rule),
                f"by the table's own rule, {each.rule}: {_sums_line(count, each.rule)}; "
                f"alone at the top under {sum(alone.values())} of {len(RULES)} rules"
                + "".join(f"; {rule}: {_sums_line(count, rule)}" for rule in RULES if not alone[rule] and rule != each.rule)
                + f"; a sum as high comes by chance {each.p_value:.0%} of the time",
            )
        )
    return wanted


def _selected(count: Count) -> str:
    assert count.selected is not None
    return count.settings[count.selected]


def _sums_line(count: Count, rule: str) -> str:
    """Who wins with what, and who comes second."""
    sums = recount(count, rule).sum(axis=0)
    best = sums.max()
    rest = sums[sums < best]
    second = f", next {rest.max():g}" if len(rest) else ""
    return f"{' and '.join(winners(count, rule))} ({best:g}{second})"


def _stretched(found: Chance) -> list[float]:
    """The sums if every accuracy were a hundred times as far from its benchmark's mean."""
    mean = found.count.accuracy.mean(axis=1, keepdims=True)
    wide = replace(found.count, accuracy=mean + 100 * (found.count.accuracy - mean))
    return recount(wide, found.rule).sum(axis=0).tolist()
