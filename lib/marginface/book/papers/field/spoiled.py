"""The bench on spoiled training sets: wrong names, few images of a class, a long tail. Settings are those for a sound one."""

from dataclasses import replace
from types import SimpleNamespace

import pandas as pd

from marginface.book.effects import Above
from marginface.book.errors import bed_of
from marginface.book.items import Item, Results
from marginface.book.obtain import Row
from marginface.book.papers.choosing import RECIPES
from marginface.book.papers.field.methods import METHODS, at_best
from marginface.book.papers.glyphs import GLYPHS
from marginface.evaluation.statistics import estimate

BASE = "ArcFace"
# how the training set is spoiled, as names of data sets have it, and what the page calls it
SPOILED = {"wrong10": "10 % wrong", "wrong30": "30 % wrong", "each5": "5 images a class", "tail20": "long tail"}
STEPS = 981  # of a run on the sound set: where images are fewer, they are seen more often
# what losses were made for, by the titles and abstracts of their papers
MADE_FOR = {
    "Sub-center ArcFace": ("wrong10", "wrong30"),  # "… by Large-scale Noisy Web Faces"
    "AdaptiveFace": ("tail20",),  # a margin by class, since face data are unbalanced
    "Range loss": ("tail20",),  # "… with Long-Tailed Training Data"
}


def rows(chosen: SimpleNamespace) -> dict[str, Row]:
    """Every method at the setting that was chosen for it, on every training set."""
    bed = bed_of(chosen.data)
    base = replace(RECIPES[bed], steps=chosen.steps)
    return {
        f"{name}, {title}": Row(loss.on(replace(base, data=f"{chosen.data}/{how}")))
        for how, title in SPOILED.items()
        for name, loss in at_best(bed).items()
    }


def claims(results: Results) -> list[Above]:
    """That a loss errs less than ArcFace on what it was made for."""
    return [each for name, kinds in MADE_FOR.items() for how in kinds for each in _over(results, name, how)]


def explored(results: Results) -> list[Above]:
    """All others."""
    others = [(name, how) for how in SPOILED for name in METHODS if name != BASE and how not in MADE_FOR.get(name, ())]
    return [each for name, how in others for each in _over(results, name, how)]


def _over(results: Results, name: str, how: str) -> list[Above]:
    """The claim over ArcFace, if both are there."""
    row, base = (f"{each}, {SPOILED[how]}" for each in (name, BASE))
    return [Above(row, base, tuple(results.tests), f"{row}, over {BASE}")] if {row, base} <= results.runs.keys() else []


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
    parameters={"data": GLYPHS.data, "steps": STEPS},
    rows=rows,
    claims=claims,
    explored=explored,
    tabulate=tabulate,
)
