"""How settings are chosen: what errs least, of several candidates, on people and characters set aside."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from marginface.book import effects
from marginface.book.effects import Above
from marginface.book.errors import error
from marginface.book.items import Results
from marginface.book.papers import glyphs
from marginface.book.papers.glyphs import GLYPHS
from marginface.book.papers.interface.losses import SMALL
from marginface.book.records import lookup
from marginface.margins import Margin
from marginface.pairwise import PairLoss
from marginface.regularizers import Fresh, Stateless
from marginface.training import Run
from marginface.training.recipes import Recipe, on_choice, with_seeds

RECIPES = {"faces": SMALL, "glyphs": GLYPHS}  # of each test bed
TENFOLD = "tenfold"  # what a test bed is called with ten times as many classes, as "glyphs/tenfold"
STEPS = 981  # of a run on the sound glyphs: of a spoiled set with fewer images, each is seen more often
DECIDE = {
    "faces": tuple(f"{test} all pairs AUC" for test in ("LFW", "CFP-FF", "CFP-FP")),
    "glyphs": (glyphs.DECIDES,),
}
PARAMETERS: dict[str, Any] = {"data": SMALL.data, "epochs": SMALL.epochs}  # of a table's notebook
ON_GLYPHS: dict[str, Any] = {"data": GLYPHS.data, "epochs": GLYPHS.epochs}
ON_MANY: dict[str, Any] = {"data": glyphs.MANY, "epochs": 1}


@dataclass(frozen=True)
class Loss:
    """A margin and what is added to it, and the share of the classes that a batch meets."""

    margin: Margin | PairLoss
    added: tuple[Stateless | Fresh, ...] = ()
    sample_rate: float = 1.0

    def on(self, recipe: Recipe) -> Recipe:
        """The recipe with this loss."""
        return replace(recipe, margin=self.margin, regularizers=self.added, sample_rate=self.sample_rate)

    def plus(self, term: Stateless | Fresh) -> "Loss":
        return replace(self, added=(*self.added, term))

    def __str__(self) -> str:
        parts = [str(part) for part in (self.margin, *self.added)]
        return " + ".join(parts + [f"{100 * self.sample_rate:g} % of the classes"] * (self.sample_rate < 1))


AS_PRINTED = "as printed"  # what is added to the name of a loss at its paper's setting
Candidates = Mapping[str, Sequence[Loss]]  # of each loss, by name, what it is chosen among


def recipe_of(bed: str) -> Recipe:
    """The recipe of a test bed or, as of "glyphs/wrong30", of the same with a training set that is spoiled, or of ten thousand
    glyphs."""
    name, _, how = bed.partition("/")
    base = RECIPES[name]
    if bed == f"glyphs/{TENFOLD}":
        return replace(base, **ON_MANY)
    return replace(base, data=f"{base.data}/{how}", steps=STEPS) if how else base


def tried(bed: str, loss: Loss, seeds: Sequence[int]) -> list[Recipe]:
    """The runs by which a candidate is judged."""
    return with_seeds(on_choice(loss.on(recipe_of(bed))), list(seeds))


def rounds(candidates: Mapping[str, Candidates], seeds: Sequence[int]) -> list[list[Recipe]]:
    """What is to be run, of every test bed: every candidate with the first seed, then with the next."""
    return [
        [
            recipe
            for bed, own in candidates.items()
            for losses in own.values()
            for loss in losses
            for recipe in tried(bed, loss, [n])
        ]
        for n in seeds
    ]


def loss_of_choice(bed: str, run: Run) -> float:
    """The mean logarithm of the errors that decide a choice."""
    return float(np.mean([np.log(error(run, measure)) for measure in DECIDE[bed.partition("/")[0]]]))


def standings(bed: str, candidates: Candidates, seeds: Sequence[int]) -> dict[str, dict[Loss, float]]:
    """Of every loss its recorded candidates with their mean error, over the seeds that all of these have."""
    found: dict[str, dict[Loss, float]] = {}
    for name, losses in candidates.items():
        runs = {loss: [lookup(recipe) for recipe in tried(bed, loss, seeds)] for loss in losses}
        there = {loss: group for loss, group in runs.items() if any(group)}
        common = [i for i in range(len(seeds)) if all(group[i] for group in there.values())]
        if there and common:
            found[name] = {
                loss: float(np.exp(np.mean([loss_of_choice(bed, run) for i in common if (run := group[i])])))
                for loss, group in there.items()
            }
    return found


def table(
    candidates: Mapping[str, Candidates],
    chosen: Callable[[str, str], Loss | None],
    seeds: Sequence[int],
    names: Collection[str] | None = None,
) -> pd.DataFrame:
    """What was tried: every candidate's errors, in percent; "–" without a record.

    Arguments: chosen: of a test bed and a loss the candidate that was taken, if one was; names: of which losses, else of all.
    """
    lines = []
    for bed, own in candidates.items():
        known = standings(bed, own, seeds)
        for name, losses in own.items():
            for loss in losses if names is None or name in names else ():
                share = known.get(name, {}).get(loss)
                mark = " (chosen)" if loss == chosen(bed, name) else ""
                lines.append((bed, name, f"{loss}{mark}", "–" if share is None else f"{100 * share:.2f}"))
    return pd.DataFrame(lines, columns=["test bed", "loss", "settings", "errors, %"])


def as_printed(results: Results, names: Sequence[str], base: str, over: Callable[[str, str], Above]) -> pd.DataFrame:
    """Losses at their papers' settings over one of them at its own, and what a search is worth: at their best over that.

    Arguments: names: of losses that have a row as printed; base: the one of them that the others are compared with; over: the
        claim that a row errs less than another.
    """
    lines = []
    for name in names:
        printed = f"{name}, {AS_PRINTED}"
        pairs = [(printed, f"{base}, {AS_PRINTED}")] * (name != base and base in names) + [(name, printed)]
        *over_base, worth = effects.explore([over(*pair) for pair in pairs], results.trained)
        lines.append((name, over_base[0].difference if over_base else "–", worth.difference))
    return pd.DataFrame(lines, columns=["loss", f"{AS_PRINTED}, over {base} {AS_PRINTED}", f"at its best, over {AS_PRINTED}"])
