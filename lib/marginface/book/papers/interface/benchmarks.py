"""InterFace Tables VI to VIII: three views of one set of runs, beside what the paper prints for 17 methods."""

import math
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pandas as pd

from marginface.book import comparison, published
from marginface.book.effects import Above
from marginface.book.items import Item, Results
from marginface.book.obtain import Row, Runs
from marginface.book.papers.interface import losses
from marginface.data.catalog import HALF_SPLIT

BASE = "ArcFace"
# what the tables call the losses that are trained here; in Table VII "*" are those that MagFace's authors trained again
PRINTED = {
    "ArcFace": ("ArcFace*", "Arcface"),
    "CosFace": ("CosFace*", "CosFace"),
    **{name: (name.replace(" ", "_"),) for name in losses.variants()},
}


def rows(chosen: SimpleNamespace) -> dict[str, Row]:
    """What the three tables train, and here ArcFace with the margin that does in the mean what f does."""
    margins = losses.table6(chosen.alpha, chosen.sign, losses.scale_of(chosen))
    return losses.rows(margins | losses.control(chosen), chosen, 6)


def as_printed(number: int) -> pd.DataFrame:
    """Table 6, 7 or 8 whole: every value in percent as printed, with its rank mark."""
    table = published.table("interface", number)
    marks = table.rank_printed.map(lambda rank: "" if pd.isna(rank) else f" ({rank:.0f})")
    cells = table.value_printed.where(table.value.notna(), "–") + marks
    columns = [_column(benchmark, metric) for benchmark, metric in zip(table.benchmark, table.metric, strict=True)]
    tidy = table.assign(cell=cells, column=columns, method=table.method.str.replace("_", " "))
    wide = tidy.pivot_table(index=["row", "method", "train_set"], columns="column", values="cell", aggfunc="first")
    wide = wide[list(dict.fromkeys(columns))].reset_index(names=["row", "method", "trained on"]).drop(columns="row")
    return wide.rename_axis(columns=None)


def measures(number: int, runs: Runs) -> list[str]:
    """The measures of the runs that belong to Table 6, 7 or 8: of pairs, of templates, of identification."""
    found = comparison.measures(runs)
    identification = {comparison.test_of(measure) for measure in found if measure.endswith(" rank-1")}
    if number == 6:
        return comparison.tests_of(runs)
    if number == 7:
        return [measure for measure in found if "TAR@FAR" in measure and comparison.test_of(measure) not in identification]
    if number == 8:
        return [measure for measure in found if comparison.test_of(measure) in identification]
    raise ValueError(f"the tables of benchmarks are 6, 7 and 8, not {number}")


def printed(number: int, loss: str, measure: str) -> dict[str, float]:
    """What the paper prints for a loss in the columns that a measure stands beside, in percent, the closest first.

    These are the columns of the same test, or, for tests of our own, all of the same kind: IJB-B's and IJB-C's TAR at that
    FAR for templates, MegaFace's rank 1 for identification, first with its wrong labels taken out, as ours has few.
    """
    table = published.table("interface", number)
    table = table[table.metric == _metric(measure)]
    own = table.benchmark == comparison.test_of(measure)
    if own.any() or number == 6:
        table = table[own]
    found = {}
    for benchmark, rows in table.groupby("benchmark", sort=False):
        values = [rows.value[rows.method == method] for method in PRINTED.get(loss, ())]
        filled = [float(value.iloc[0]) for value in values if value.notna().any()]
        if filled:
            found[str(benchmark)] = filled[0]
    return found


def beside(number: int, results: Results) -> pd.DataFrame:
    """What was measured beside what is printed for the same loss, in percent: the mean over seeds with its 95 % interval."""
    lines, runs = [], results.runs
    for measure in measures(number, runs):
        columns = list(dict.fromkeys(benchmark for loss in runs for benchmark in printed(number, loss, measure)))
        for loss, group in runs.items():
            values = printed(number, loss, measure)
            texts = [("" if c == measure else f"{c} ") + (f"{values[c]:.2f}" if c in values else "–") for c in columns]
            line = {"measure": comparison.title(measure), "loss": loss, "printed, %": " · ".join(texts) or "–"}
            lines.append(line | {"measured, %": comparison.mean(measure, group)})
    return pd.DataFrame(lines)


def claims(number: int, results: Results) -> list[Above]:
    """Wherever the paper prints more for InterFace than for ArcFace, that it is more.

    Of several printed columns the first decides (see `printed`). Where nothing measured stands beside a printed column, as
    on synthetic data, all measures count.
    """
    every = _against_arcface(number, results, tuple(losses.variants()))
    return [above for above in every if above.size is not None] or every


def explored(number: int, results: Results) -> list[Above]:
    """Every other difference to ArcFace, and InterFace's to ArcFace with another margin: whether f is more than that."""
    claimed = claims(number, results)
    others = [above for above in _against_arcface(number, results, tuple(results.runs)) if above not in claimed]
    control, _ = losses.CONTROLS[results.settings.sign]
    if control not in results.runs:
        return others
    tests = measures(number, results.runs)
    pairs = [(loss, test) for test in tests for loss in losses.variants() if loss in results.runs]
    return others + [Above(loss, control, (test,), f"{loss} over {control}, {comparison.title(test)}") for loss, test in pairs]


def _against_arcface(number: int, results: Results, rows: tuple[str, ...]) -> list[Above]:
    """Every row on every measure, with what the first printed column of each says."""
    found = []
    for measure in measures(number, results.runs):
        base = printed(number, BASE, measure)
        for loss in rows:
            if loss != BASE:
                values = printed(number, loss, measure)
                column = next((column for column in base if column in values), None)
                share = None if column is None else published.share([values[column]], [base[column]])
                beside = "" if column in (None, measure) else f" (printed: {column})"
                found.append(Above(loss, BASE, (measure,), f"{loss}, {comparison.title(measure)}{beside}", share))
    return found


def doubles(data: str, root: str | Path | None = None) -> str:
    """Whether the pixel-identical images under two names decide anything in the identification test, in a sentence."""
    match = HALF_SPLIT.fullmatch(data)
    known = ", ".join(f"{one} = {other}" for one, other in (map(_spaced, names) for names in comparison.DOUBLES))
    start = f"Two pairs of LFW's files are pixel-identical under two names: {known}."
    if match is None:
        return f"{start} `{data}` is no half of LFW."
    found = comparison.split_counts(match[1], root)
    if found["doubles_looked_for"]:
        return f"{start} {found['doubles_looked_for']} of them is looked for, and has the double among the strangers."
    return (
        f"{start} Of these four images {found['doubles_among_strangers']} are among the {found['strangers']:,} strangers, and "
        "nobody looks for one of them. Rank 1 asks whether any stranger comes before the mate, and a stranger who is "
        "there twice "
        "is no other: the doubles decide nothing, but for a second count of their scores among the impostor pairs of TAR "
        "at FAR."
    )


def false_accepts(data: str, root: str | Path | None = None, rates: tuple[float, ...] = (1e-4, 1e-5, 1e-6)) -> str:
    """How many pairs of two people the templates of a half split have, and how many of them each FAR lets through."""
    match = HALF_SPLIT.fullmatch(data)
    if match is None:
        return f"`{data}` is no half of LFW."
    people = comparison.split_counts(match[1], root)["tested_people"]
    pairs = people * (people - 1)
    counts = [
        f"FAR 1e-{round(-math.log10(rate))} lets {math.floor(rate * pairs)} of them through"
        for rate in rates
        if rate * pairs >= 1
    ]
    none = [f"1e-{round(-math.log10(rate))}" for rate in rates if rate * pairs < 1]
    rest = f"; {' and '.join(none)} would be less than one pair, and cannot be had" if none else ""
    return (
        f"The {match[1]} half has {people:,} people to test on, hence {people:,} × {people - 1:,} = {pairs:,} pairs of "
        "two people. "
        f"{', '.join(counts)}{rest}."
    )


def _column(benchmark: str, metric: str) -> str:
    kind = metric.removesuffix("_pct").replace("tar@far=", "TAR at FAR ").replace("rank1", "rank 1")
    return benchmark if kind == "accuracy" else f"{benchmark}, {kind}"


def _metric(measure: str) -> str:
    """What the printed tables call what is measured."""
    if "TAR@FAR" in measure:
        return f"tar@far=1e-{comparison.exponent(measure)}_pct"
    return "rank1_pct" if measure.endswith(" rank-1") else "accuracy_pct"


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _item(number: int, numeral: str) -> Item:
    return Item(
        "InterFace",
        f"Table {numeral}",
        notebook=f"table{number}",
        parameters={"alpha": 0.1, "sign": losses.SIGNS} | losses.PARAMETERS,
        beds=losses.BEDS,
        rows=rows,
        seeds=losses.FIVE_SEEDS,
        claims=partial(claims, number),
        explored=partial(explored, number),
        tabulate=partial(beside, number),
        reads=("templates ", "identification "),
    )


TABLE6, TABLE7, TABLE8 = _item(6, "VI"), _item(7, "VII"), _item(8, "VIII")
