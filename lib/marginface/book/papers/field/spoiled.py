"""The bench on spoiled training sets: with wrong names, with a long tail, with few images of each."""

from dataclasses import replace
from types import SimpleNamespace

import pandas as pd

from marginface.book import effects
from marginface.book.effects import Above
from marginface.book.errors import bed_of
from marginface.book.items import Item, Results
from marginface.book.obtain import Row, recorded_in_part
from marginface.book.papers import choosing
from marginface.book.papers.choosing import STEPS
from marginface.book.papers.field.bench import BENCH, errors, over
from marginface.book.papers.field.methods import (
    MATCHED,
    METHODS,
    SEEDS,
    SPOILED,
    SPOILED_BEDS,
    THERE,
    at_best,
    at_ends,
    candidates,
    matched,
    matched_there,
)
from marginface.book.papers.glyphs import GLYPHS


def rows(chosen: SimpleNamespace) -> dict[str, Row]:
    """Every method at the setting for a sound training set, on every spoiled one; and what was made for such a set and what it
    is compared with at the setting that was chosen there, where that is another."""
    bed = bed_of(chosen.data)
    base, best = replace(choosing.RECIPES[bed], steps=chosen.steps), at_best(bed, chosen.profile)
    found: dict[str, Row] = {}
    for how, title in SPOILED.items():
        there = replace(base, data=f"{chosen.data}/{how}")
        found |= {f"{name}, {title}": Row(loss.on(there)) for name, loss in best.items()}
        own = matched_there(f"{bed}/{how}", best)
        found |= {f"{name}, {title}, {THERE}": Row(loss.on(there)) for name, loss in own.items()}
    return found


def claims(results: Results) -> list[Above]:
    """That a loss errs less on what it was made for than its `over`, both at the settings that were chosen there."""
    return [each for name, method in METHODS.items() for how in method.made_for for each in _over(results, name, how)]


def explored(results: Results) -> list[Above]:
    """The same of others whose settings were chosen there, and what that choice is worth."""
    others = [each for name, method in METHODS.items() for how in method.explored for each in _over(results, name, how)]
    pairs = [(row, row.removesuffix(f", {THERE}")) for row in results.runs]
    tests = tuple(results.tests)
    return others + [Above(row, old, tests, f"{row}, over the sound set's") for row, old in pairs if row != old]


def _over(results: Results, name: str, how: str) -> list[Above]:
    """The comparison, if both were chosen there."""
    other = METHODS[name].over
    row, base = _chosen_there(results, name, how), _chosen_there(results, other, how)
    return [Above(row, base, tuple(results.tests), f"{name} over {other}, {SPOILED[how]}")] if row and base else []


def _chosen_there(results: Results, name: str, how: str) -> str:
    """The row of a method at the setting that was chosen on a spoiled set; "" where none was, or it was not trained."""
    bed, plain = bed_of(results.settings.data), f"{name}, {SPOILED[how]}"
    if matched(f"{bed}/{how}", name) is None:
        return ""
    row = there if (there := f"{plain}, {THERE}") in results.rows else plain
    return row if row in results.runs else ""


def tabulate(results: Results) -> pd.DataFrame:
    """A line for each method, a column for each training set: what decides, the errors, in the mean of tests and seeds."""
    lines = []
    for name in METHODS:
        for suffix in ("", f", {THERE}"):
            line = {"loss": name + suffix}
            for title in SPOILED.values():
                if (row := f"{name}, {title}{suffix}") in results.runs:
                    line[f"{title}: errors, %"] = f"{100 * errors(results, row):.2f}"
            lines += [line] if len(line) > 1 else []
    return pd.DataFrame(lines).fillna("–")


def sound(results: Results) -> Results:
    """The bench's records of the sound set, of what `results` has spoiled; without runs where there are none."""
    asked = BENCH.ask(**choosing.ON_GLYPHS)
    same = results.settings.profile == "book" and vars(results.settings).items() >= vars(SPOILED_SETS.ask().settings).items()
    return replace(asked, runs=recorded_in_part(asked.rows, BENCH.beds["glyphs"].seeds) if same else {})


def beside_sound(results: Results, on_sound: Results) -> pd.DataFrame:
    """What is claimed or explored on a spoiled set, and the same two losses on the sound one, at the settings that were chosen
    there."""
    lines = []
    for name, method in METHODS.items():
        for how in (*method.made_for, *method.explored):
            for claim in _over(results, name, how):
                (there,) = effects.explore([claim], results.runs)
                runs = on_sound.runs
                same = effects.explore([over(on_sound, name, method.over)], runs) if runs else []
                lines.append((claim.text, there.difference, same[0].difference if same else "–"))
    return pd.DataFrame(lines, columns=["", "there", "on the sound set"])


def ends() -> str:
    """How many of the settings that were chosen there are the last that were tried, in a sentence."""
    last = sum(len(at_ends(bed)) for bed in SPOILED_BEDS)
    every = sum(len(MATCHED[bed]) for bed in SPOILED_BEDS)
    return f"{last} of {every} settings that were chosen there are the smallest or largest that were tried."


def table() -> pd.DataFrame:
    """What was tried on the spoiled sets, tested on characters set aside."""
    return choosing.table({bed: candidates(bed) for bed in SPOILED_BEDS}, matched, SEEDS)


SPOILED_SETS = Item(
    "The field",
    "Spoiled training sets",
    notebook="field/spoiled",
    parameters={"data": GLYPHS.data, "steps": STEPS},
    rows=rows,
    seeds=(0, 1),
    claims=claims,
    explored=explored,
    tabulate=tabulate,
)
