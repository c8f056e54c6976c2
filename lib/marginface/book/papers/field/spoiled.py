"""The bench on spoiled training sets: wrong names, few images of a class, a long tail. Settings are those for a sound one."""

from dataclasses import replace
from types import SimpleNamespace

import pandas as pd

from marginface.book.effects import Above
from marginface.book.errors import bed_of
from marginface.book.items import Item, Results
from marginface.book.obtain import Row
from marginface.book.papers.choosing import ON_GLYPHS, RECIPES
from marginface.book.papers.field.methods import METHODS, matched
from marginface.evaluation.statistics import estimate

BASE = "ArcFace"
# how the training set is spoiled, as names of data sets have it, and what the page calls it
SPOILED = {"wrong10": "10 % wrong", "wrong30": "30 % wrong", "each5": "5 images a class", "tail20": "long tail"}
SHORTER = ("each5", "tail20")  # epochs, so that as many steps are made as with all images
STEPS = 981
# what losses were made for, by their authors' words
MADE_FOR = {
    "Sub-center ArcFace": ("wrong10", "wrong30"),
    "AdaFace": ("wrong10", "wrong30"),
    "MagFace": ("wrong10", "wrong30"),
    "AdaptiveFace": ("each5", "tail20"),
    "Range loss": ("each5", "tail20"),
    "UniformFace": ("each5", "tail20"),
}


def rows(chosen: SimpleNamespace) -> dict[str, Row]:
    """Every method at the setting that was chosen for it, on every training set."""
    bed = bed_of(chosen.data)
    base = replace(RECIPES[bed], data=chosen.data, epochs=chosen.epochs)
    found: dict[str, Row] = {}
    for how, title in SPOILED.items():
        spoiled = replace(base, data=f"{chosen.data}/{how}", steps=STEPS if how in SHORTER else None)
        found |= {f"{name}, {title}": Row(matched(bed, name).on(spoiled)) for name in METHODS}
    return found


def claims(results: Results) -> list[Above]:
    """That a loss errs less than ArcFace on what it was made for."""
    return [_over(results, name, how) for name, kinds in MADE_FOR.items() for how in kinds]


def explored(results: Results) -> list[Above]:
    """All others."""
    return [
        _over(results, name, how) for how in SPOILED for name in METHODS if name != BASE and how not in MADE_FOR.get(name, ())
    ]


def _over(results: Results, name: str, how: str) -> Above:
    row, base = (f"{each}, {SPOILED[how]}" for each in (name, BASE))
    return Above(row, base, tuple(results.tests), f"{row}, over {BASE}")


def tabulate(results: Results) -> pd.DataFrame:
    """A line for each method, a column for each training set: the mean over the tests and seeds, in percent."""
    lines = []
    for name in METHODS:
        line = {"loss": name}
        for title in SPOILED.values():
            if (row := f"{name}, {title}") in results.runs:
                line[f"{title}, %"] = estimate(results.values(row, results.tests)).format()
        lines.append(line)
    return pd.DataFrame(lines).fillna("–")


SPOILED_SETS = Item(
    "The field",
    "Spoiled training sets",
    notebook="field/spoiled",
    parameters=ON_GLYPHS,
    rows=rows,
    claims=claims,
    explored=explored,
    tabulate=tabulate,
)
