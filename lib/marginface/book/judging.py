"""What the page on how differences are judged shows."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from marginface.book import comparison
from marginface.book.effects import Effect, separation
from marginface.book.errors import bed_of, is_angle
from marginface.book.papers import ITEMS, bases, choosing
from marginface.book.records import lookup
from marginface.book.simulation import Design, study
from marginface.book.verdicts import COMPARED
from marginface.training import Recipe, Run

ALL_PAIRS = ("AUC", "TAR@FAR=1e-04")
LEARNS = 1.5  # a setting with so many times the errors of its loss's best does not do what the others do


def anatomy(effects: Sequence[Effect]) -> pd.DataFrame:
    """Of each effect the standard errors in percent, from seeds, from people and together, and their degrees of freedom."""
    lines = []
    for each in effects:
        found = each.found
        parts = [f"{100 * variance**0.5:.1f}" for variance in (found.seeds, found.people)]
        lines.append((each.claim.text, *parts, f"{100 * found.error:.1f}", f"{found.freedom:.0f}", each.difference))
    columns = ["difference", "from seeds", "from people", "together", "degrees of freedom", "interval"]
    return pd.DataFrame(lines, columns=columns)


def words() -> pd.DataFrame:
    """The words for claims about trainings, and what they mean."""
    return pd.DataFrame(COMPARED.items(), columns=["word", "meaning"])


def set_aside() -> pd.DataFrame:
    """F of settings over seeds on people and characters set aside, by what could decide. Of the settings that were tried of
    losses that are compared each at its best, those that err little more than the best of their loss."""
    lines = []
    for bed, own in bases.CANDIDATES.items():
        known = choosing.standings(bed, own, bases.SEEDS)
        settings = [loss for errors in known.values() for loss, e in errors.items() if e < LEARNS * min(errors.values())]
        found = [[lookup(recipe) for recipe in choosing.tried(bed, loss, bases.SEEDS)] for loss in settings]
        groups = [[run for run in group if run] for group in found if all(group)]
        measured = (measure.partition(" all pairs ") for group in groups[:1] for measure in group[0].metrics)
        for test in dict.fromkeys(test for test, pairs, _ in measured if pairs):
            lines.append({"on": f"{bed}: {comparison.title(test)}", **_line(groups, test)})
    return pd.DataFrame(lines)


def _line(groups: Sequence[list[Run]], test: str) -> dict[str, str]:
    """How many runs there are, and F by each of the measures that could decide; "–" where not all have it."""
    line = {"rows × seeds": f"{len(groups)} × {len(groups[0])}"}
    for name in ("accuracy", *ALL_PAIRS):
        measure = test if name == "accuracy" else f"{test} all pairs {name}"
        known = all(measure in run.metrics for group in groups for run in group)
        line[f"F, {name}"] = f"{separation(groups, measure):.1f}" if known else "–"
    return line


def separations() -> pd.DataFrame:
    """The same of every page's recorded runs, on all test beds."""
    lines, seen = [], set[Recipe]()
    pages = [results for item in ITEMS if item.rows is not None and (results := item.recorded()) is not None]
    for results in (each for page in pages for each in (page, *page.beds.values()) if each.runs and each.tests):
        groups = list(results.compared.values())
        recipes = {run.recipe for group in groups for run in group}
        if recipes <= seen:
            continue  # another view of the same runs
        seen |= recipes
        for test in (test for test in results.tests if not is_angle(test)):
            page = f"{results.item.paper}, {results.item.name}"
            on = f"{bed_of(groups[0][0].recipe.data)}: {comparison.title(test)}"
            lines.append({"page": page, "on": on, **_line(groups, test)})
    return pd.DataFrame(lines)


def promises(repeats: int, seeds: Sequence[int] = (3, 5)) -> pd.DataFrame:
    """What the method promises and what came of it, for some numbers of seeds."""
    lines = []
    for count in seeds:
        kept = study(Design(seeds=count), repeats, seed=count)
        shares = [f"{100 * share:.1f} %" for share in (kept.coverage, kept.wrong, kept.excluded)]
        lines.append((count, *shares, f"{100 * -np.expm1(-kept.stated):.1f} %", f"{100 * kept.power:.0f} %"))
    columns = ["seeds", "intervals that hold the truth", "families that find what is not", "families that exclude what is"]
    return pd.DataFrame(lines, columns=[*columns, "would show", "power for that"])
