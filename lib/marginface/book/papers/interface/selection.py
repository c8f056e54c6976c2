"""InterFace Tables II to V: the choice of a, α and b by Borda counts; and what Table I shares with them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from marginface.book import effects
from marginface.book.audit.numbers import borda as audit
from marginface.book.comparison import LISTS, tests_of
from marginface.book.effects import Above
from marginface.book.items import Item, Results
from marginface.book.obtain import Row, Runs
from marginface.book.papers.interface import losses
from marginface.book.papers.interface.losses import EQUAL_MARGINS, VARIED, Unit
from marginface.book.parameters import OneOf
from marginface.book.verdicts import Verdict
from marginface.evaluation.statistics import borda, estimate
from marginface.training import Run

NULL_ROWS = ("ArcFace", "f = 0")
CONTROL_ROWS = tuple(name for name, _ in losses.CONTROLS.values())
OUTSIDE = (*NULL_ROWS, *CONTROL_ROWS)  # shown, and not among what can be chosen
DRAWS = 10_000


def rows(number: int, chosen: SimpleNamespace) -> dict[str, Row]:
    """What Table `number`, 2 to 5, compares, with the values of the parameter that it varies."""
    s, values = losses.scale_of(chosen), values_of(number, chosen)
    unit: Unit = chosen.unit if number == 5 else "degrees"
    alpha = 0.1 if number == 3 else chosen.alpha
    margins = losses.selection(number, alpha, values, chosen.sign, unit, s)
    return losses.rows(margins | losses.control(chosen), chosen, number)


def values_of(number: int, chosen: SimpleNamespace) -> tuple[float, ...]:
    """The values of the parameter that a table varies."""
    return tuple(m1 for m1, _ in EQUAL_MARGINS) if number == 1 else getattr(chosen, VARIED[number][0])


def settings(runs: Runs) -> Runs:
    """The rows that take part in the choice."""
    return {name: group for name, group in runs.items() if name not in OUTSIDE}


def by_value(number: int, results: Results) -> dict[float, list[Run]]:
    """The rows that take part, by the value of the parameter."""
    return dict(zip(values_of(number, results.settings), settings(results.runs).values(), strict=True))


def accuracies(runs: Runs) -> NDArray[np.float64]:
    """In percent, (tests, settings, seeds)."""
    return np.array([[[100 * run.metrics[test] for run in group] for group in runs.values()] for test in tests_of(runs)])


def table(number: int, results: Results) -> pd.DataFrame:
    """A table as printed beside what was measured, both with their Borda points and sums."""
    runs, values = results.runs, values_of(number, results.settings)
    printed, own = audit.printed(number), settings(runs)
    points = borda(accuracies(own).mean(axis=2))
    texts = dict(zip(own, (f"{value:g}" for value in values), strict=True))
    theirs, ours = "as printed, % (Borda points)", "measured here, % [95 % interval] (Borda points)"
    lines = []
    for name, group in runs.items():
        line: dict[tuple[str, str], str] = {("", "setting"): name}
        m = printed.settings.index(texts[name]) if texts.get(name) in printed.settings else None
        for b, benchmark in enumerate(printed.benchmarks):
            cell = "–" if m is None else f"{printed.accuracy[b, m]:.{2 if number == 1 else 3}f} ({printed.points[b, m]})"
            line[theirs, benchmark] = cell
        line[theirs, "sum"] = "–" if m is None else f"{printed.sums[m]}" + (" (chosen)" if m == printed.selected else "")
        k = list(own).index(name) if name in own else None
        for t, test in enumerate(tests_of(runs)):
            counted = "" if k is None else f" ({points[t, k]:g})"
            line[ours, test] = estimate([100 * run.metrics[test] for run in group]).format() + counted
        line[ours, "sum"] = "–" if k is None else f"{points[:, k].sum():g}"
        lines.append(line)
    return pd.DataFrame([list(line.values()) for line in lines], columns=pd.MultiIndex.from_tuples(lines[0]))


@dataclass(frozen=True)
class Choice:
    """What a Borda count chooses, and what that is worth. Numbers that one run a setting cannot give are NaN.

    `points` are (tests, settings). `by_chance` says how often each setting has the highest sum where none differs from
    another, `again` how often in a repetition of the experiment where the measured means are the true ones.
    """

    names: tuple[str, ...]
    points: NDArray[np.float64]
    as_high: float  # how often the highest sum is as high as ours, or higher, where no setting differs from another
    by_chance: NDArray[np.float64]
    again: NDArray[np.float64]
    spread: float  # points: standard deviation of a run's mean over tests, without what the seed does to all settings

    @property
    def sums(self) -> NDArray[np.float64]:
        return self.points.sum(axis=0)

    @property
    def chosen(self) -> tuple[str, ...]:
        """The settings with the highest sum."""
        return tuple(name for name, total in zip(self.names, self.sums, strict=True) if total == self.sums.max())


def choose(runs: Runs, draws: int = DRAWS, seed: int = 0) -> Choice:
    """Count as the paper does, and simulate how far the count could be trusted, given how runs of one setting differ."""
    own = settings(runs)
    accuracy = accuracies(own)
    tests, count, seeds = accuracy.shape
    means = accuracy.mean(axis=2)
    points = borda(means)
    covariance = residual_covariance(accuracy)
    if covariance is None:
        unknown = np.full(count, np.nan)
        return Choice(tuple(own), points, np.nan, unknown, unknown, np.nan)
    null = simulated_sums(np.zeros((tests, count)), covariance, seeds, draws, seed)
    repeated = simulated_sums(means, covariance, seeds, draws, seed)
    return Choice(
        tuple(own),
        points,
        float((null.max(axis=1) >= points.sum(axis=0).max()).mean()),
        _share_of_wins(null),
        _share_of_wins(repeated),
        float(covariance.mean() ** 0.5),
    )


def residual_covariance(accuracy: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """How the tests of one run vary together, (tests, tests), pooled over settings; None for one seed or one setting.

    From accuracies (tests, settings, seeds), after the means of every setting and of every seed are taken out: runs that
    share a seed share their initial weights and order of images, and what that does to all settings alike decides nothing.
    """
    tests, count, seeds = accuracy.shape
    freedom = (count - 1) * (seeds - 1)
    if freedom == 0:
        return None
    rest = accuracy - accuracy.mean(axis=2, keepdims=True) - accuracy.mean(axis=1, keepdims=True)
    rest = (rest + accuracy.mean(axis=(1, 2), keepdims=True)).reshape(tests, -1)
    return rest @ rest.T / freedom


def half_widths(runs: Runs) -> dict[str, float]:
    """Half the 95 % interval of a setting's mean on each test, in points, from the pooled spread; NaN where that is unknown."""
    accuracy = accuracies(settings(runs))
    _, count, seeds = accuracy.shape
    covariance = residual_covariance(accuracy)
    if covariance is None:
        return dict.fromkeys(tests_of(runs), np.nan)
    halves = special.stdtrit((count - 1) * (seeds - 1), 0.975) * np.sqrt(np.diag(covariance) / seeds)
    return dict(zip(tests_of(runs), halves.tolist(), strict=True))


def simulated_sums(
    means: NDArray[np.float64], covariance: NDArray[np.float64], seeds: int, draws: int, seed: int
) -> NDArray[np.float64]:
    """Borda sums (draws, settings) of experiments whose settings have these true means (tests, settings)."""
    tests, count = means.shape
    numbers = np.random.default_rng(seed)
    noise = numbers.multivariate_normal(
        np.zeros(tests), covariance / seeds, (draws, count), check_valid="ignore", method="eigh"
    )
    accuracy = means + noise.transpose(0, 2, 1)
    return borda(accuracy.reshape(-1, count)).reshape(draws, tests, count).sum(axis=1)


def _share_of_wins(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """How often each setting has the highest sum; settings that share it share the win."""
    top = sums == sums.max(axis=1, keepdims=True)
    return (top / top.sum(axis=1, keepdims=True)).mean(axis=0)


def printed_choice(number: int) -> float | None:
    """The value that the paper goes on with."""
    return audit.SELECTIONS[number][1]


def selected(number: int, runs: Runs, values: Sequence[float]) -> str | None:
    """The setting that the paper goes on with, by its name here; None where it is not among the values."""
    wanted = printed_choice(number)
    return next((name for name, value in zip(settings(runs), values, strict=True) if value == wanted), None)


def choice_table(number: int, results: Results) -> pd.DataFrame:
    """What is chosen, as printed and here, and how much of it chance would do."""
    runs, values = results.runs, values_of(number, results.settings)
    printed, found, wanted = audit.printed(number), choose(runs), selected(number, runs, values)
    assert printed.selected is not None
    top = found.sums.max()
    name, parameter = " and ".join(found.chosen), f"{printed.parameter} = {printed.settings[printed.selected]}"
    first = [found.names.index(each) for each in found.chosen]
    lines = [
        ("the paper's choice", f"{parameter}, with a sum of {printed.sums[printed.selected]}"),
        ("the choice here", f"{name}, with a sum of {top:g} of {found.points.size}"),
        (f"a highest sum of {top:g} or more, if no setting differed from another", _percent(found.as_high)),
        ("the same choice in a repetition, if the measured means were the true ones", _percent(found.again[first].sum())),
    ]
    if wanted is not None and len(values) > 1:
        k = found.names.index(wanted)
        lines += [
            (f"a choice of {wanted}, if no setting differed from another", _percent(found.by_chance[k])),
            (f"a choice of {wanted} in a repetition", _percent(found.again[k])),
        ]
    lines.append(("spread of a setting from run to run, points", "–" if np.isnan(found.spread) else f"{found.spread:.2f}"))
    return pd.DataFrame(lines, columns=["question", "answer"])


def _percent(share: float) -> str:
    return "– (one run a setting)" if np.isnan(share) else f"{share:.0%}"


def claims(number: int, results: Results) -> list[Above]:
    """That the setting which the paper chooses errs less than the others do on average, mean over tests."""
    wanted = selected(number, results.runs, values_of(number, results.settings))
    others = tuple(name for name in settings(results.runs) if name != wanted)
    if wanted is None or not others:
        return []
    text = f"{wanted} over the mean of the other settings"
    return [Above(wanted, others, tuple(tests_of(results.runs)), text, printed_lead(number, tests_of(results.runs)))]


def printed_lead(number: int, tests: Sequence[str]) -> float | None:
    """By which share the errors of the paper's choice are printed lower than the mean of the others, on the tests in common."""
    count = audit.printed(number, mend=True)
    rows = [b for b, benchmark in enumerate(count.benchmarks) if benchmark in tests]
    if count.selected is None or not rows:
        return None
    logs = np.log(100 - count.accuracy[rows]).mean(axis=0)
    return float(np.expm1(logs[count.selected] - np.delete(logs, count.selected).mean()))


def explored(number: int, results: Results) -> list[Above]:
    """Two rows that are one loss, every other setting over ArcFace, which has no f, and the paper's choice over ArcFace with
    another margin, which f may be nothing but."""
    base, same = NULL_ROWS
    pairs = [(name, base) for name in results.runs if name != base]
    wanted = selected(number, results.runs, values_of(number, results.settings))
    pairs += [(wanted, name) for name in results.runs if wanted is not None and name in CONTROL_ROWS]
    tests = tuple(tests_of(results.runs))
    return [Above(row, over, tests, f"{row} over {over}{', the same loss' * (row == same)}") for row, over in pairs]


def selection_verdict(number: int, results: Results) -> Verdict:
    """Whether the value that the paper chooses is told from noise: better than the mean of the others, and chosen here.

    It "holds in part" if it is better than the others are on average, and another has a higher sum.
    """
    runs, wanted = results.runs, selected(number, results.runs, values_of(number, results.settings))
    found = choose(runs)
    share = "" if np.isnan(found.as_high) else f", as high or higher in {found.as_high:.0%} of cases if no setting differed"
    counted = f"our Borda count chooses {' and '.join(found.chosen)}, with a sum of {found.sums.max():g}{share}"
    if not (judged := results.judged()):
        return Verdict("undecided", ("it takes the paper's choice and another value to compare", counted), "recorded runs")
    verdict = effects.verdict(judged)
    word = "holds in part" if verdict.word == "holds" and found.chosen != (wanted,) else verdict.word
    return replace(verdict, word=word, evidence=(*verdict.evidence, counted))


def _item(number: int, numeral: str, **parameters: Any) -> Item:
    return Item(
        "InterFace",
        f"Table {numeral}",
        notebook=f"table{number}",
        parameters={VARIED[number][0]: VARIED[number][1]} | parameters | {"sign": losses.SIGNS} | losses.PARAMETERS,
        seeds=losses.FIVE_SEEDS,
        beds=losses.BEDS,
        rows=partial(rows, number),
        tabulate=partial(table, number),
        claims=partial(claims, number),
        explored=partial(explored, number),
        judge=partial(selection_verdict, number),
        reads=LISTS,
    )


TABLE2 = _item(2, "II", alpha=0.1)
TABLE3 = _item(3, "III")
TABLE4 = _item(4, "IV", alpha=0.1)
TABLE5 = _item(5, "V", alpha=0.1, unit=OneOf(("degrees", "radians")))
