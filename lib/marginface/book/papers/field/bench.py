"""The bench: the field's losses trained alike, each at its paper's setting and at its own best, and judged over ArcFace."""

from dataclasses import replace
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pandas as pd

from marginface.book import comparison, effects, published
from marginface.book.effects import Above
from marginface.book.errors import bed_of, deciding, error
from marginface.book.items import Item, Results
from marginface.book.obtain import Bed, Row
from marginface.book.papers.choosing import ON_GLYPHS, PARAMETERS, RECIPES
from marginface.book.papers.field.methods import METHODS, matched
from marginface.data.catalog import other_half
from marginface.training import recipes

BASE, PRINTED = "ArcFace", "as printed"
MANY = "glyphs/10000/32"  # ten times the characters, each of whose images is seen once
FIVE_SEEDS = range(5)
TOLD = ("holds", "opposite")  # apart
BENCHMARKS = ("LFW", "CFP-FP")  # InterFace's Table VI has them, too


def rows(chosen: SimpleNamespace) -> dict[str, Row]:
    """Every method at its own best setting and, where there are not too many classes, at its paper's; with profile "paper" that
    alone, by InterFace's recipe, whose tables quote them."""
    if chosen.profile == "paper":
        base = recipes.RECIPES["interface/arcface-ms1mv2"]
        return {name: Row(method.as_printed.on(base), quoted(name)) for name, method in METHODS.items()}
    bed = bed_of(chosen.data)
    base = replace(RECIPES[bed], data=chosen.data, epochs=chosen.epochs)
    found = {name: Row(matched(bed, name).on(base), quoted(name)) for name in METHODS}
    for name, method in METHODS.items() if chosen.data != MANY else ():
        if method.as_printed != matched(bed, name):
            found[f"{name}, {PRINTED}"] = Row(method.as_printed.on(base), quoted(name))
    return found


def quoted(name: str) -> dict[str, str]:
    """The line that InterFace's tables have of a method."""
    return {"method": METHODS[name].quoted} if METHODS[name].quoted else {}


def claims(results: Results) -> list[Above]:
    """Each method at its best over ArcFace at its best."""
    return [over(results, name) for name in METHODS if name != BASE and name in results.runs]


def explored(results: Results) -> list[Above]:
    """Each as printed over ArcFace as printed, and what ArcFace's search was worth."""
    base = f"{BASE}, {PRINTED}"
    names = [name for name in results.runs if name.endswith(PRINTED) and name != base]
    return [over(results, name, base) for name in names] + ([over(results, BASE, base)] if base in results.runs else [])


def over(results: Results, name: str, base: str = BASE) -> Above:
    """That a row errs less than another, on all tests."""
    table = published.table("interface", 6)
    own = [table[table.benchmark == test] for test in BENCHMARKS if test in results.tests]
    both = [[published.value(each, results.rows[row].printed) for each in own] for row in (name, base)]
    known = [value for values in both for value in values if value is not None]
    share = published.share(known[: len(own)], known[len(own) :]) if own and len(known) == 2 * len(own) else None
    return Above(name, base, tuple(results.tests), f"{name} over {base}", share)


def tabulate(results: Results) -> pd.DataFrame:
    """Every row's setting and what it has on every test: the mean over seeds with its interval, in percent."""
    lines = []
    for name, group in results.runs.items():
        recipe = results.rows[name].recipe
        line = {"loss": name, "setting": " + ".join(str(part) for part in (recipe.margin, *recipe.regularizers))}
        lines.append(line | {f"{test}, %": comparison.mean(test, group) for test in results.tests})
    return pd.DataFrame(lines)


def alike(results: Results) -> pd.DataFrame:
    """The methods at their best in the order of their errors, each with those that it cannot be told from: any two are
    compared, and all comparisons are one family."""
    shares = {name: float(np.mean(_logs(results, name))) for name in METHODS if name in results.runs}
    ordered = sorted(shares, key=lambda name: shares[name])
    pairs = list(combinations(ordered, 2))
    found = effects.judge([Above(*pair, tuple(results.tests), " over ".join(pair)) for pair in pairs], results.trained)
    same = {
        name: [b for (a, b), each in zip(pairs, found, strict=True) if a == name and each.word not in TOLD] for name in ordered
    }
    lines = [(n, name, f"{100 * np.exp(shares[name]):.2f}", ", ".join(same[name]) or "–") for n, name in enumerate(ordered, 1)]
    return pd.DataFrame(lines, columns=["", "loss", "errors, %", "not told from these that err more"])


def parts(results: Results) -> str:
    """What part of the spread is the loss, what the seed, and what the search was worth, in a sentence."""
    loss, seed = spread(results)
    pairs = [(name, f"{name}, {PRINTED}") for name in METHODS if f"{name}, {PRINTED}" in results.runs]
    worth = [np.mean(_logs(results, best)) - np.mean(_logs(results, printed)) for best, printed in pairs]
    fewer = -100 * np.expm1(np.median(worth)) if pairs else 0.0
    searched = f" The settings that were found have {fewer:.0f} % fewer errors than the papers', in the median."
    return (
        f"Errors at the best settings differ from loss to loss by {100 * loss:.1f} % (a standard deviation of the logarithm), "
        f"from seed to seed by {100 * seed:.1f} %." + searched * bool(pairs)
    )


def spread(results: Results) -> tuple[float, float]:
    """Standard deviations of the logarithm of errors: of the methods at their best, without what seeds add, and of seeds."""
    logs = np.array([_logs(results, name) for name in METHODS if name in results.runs])
    seed = logs.var(axis=1, ddof=1).mean()
    between = logs.mean(axis=1).var(ddof=1) - seed / logs.shape[1]
    return float(np.sqrt(max(between, 0.0))), float(np.sqrt(seed))


def _logs(results: Results, name: str) -> list[float]:
    every = [run for group in results.trained.values() for run in group]
    measures = [deciding(test, every) for test in results.tests]
    return [float(np.mean([np.log(error(run, measure)) for measure in measures])) for run in results.runs[name]]


BENCH = Item(
    "The field",
    "The bench",
    notebook="field/bench",
    parameters=PARAMETERS,
    rows=rows,
    seeds=FIVE_SEEDS,
    claims=claims,
    explored=explored,
    tabulate=tabulate,
    beds={
        "other half": Bed(FIVE_SEEDS, {"data": lambda asked: other_half(asked.data)}, joined=True),
        "glyphs": Bed(range(10), ON_GLYPHS),
        "glyphs, 10,000 characters": Bed(range(3), {"data": MANY, "epochs": 1}),
    },
)
