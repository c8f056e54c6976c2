"""Rehearsals: a recipe played for a few steps on fixed inputs, which tells whether the code still computes what it did.

python -m marginface.book.rehearsals      play, and remember, those that the book's pages will ask for
"""

import dataclasses
import math
import multiprocessing
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache

from marginface.book import memory
from marginface.book.workers import start_worker
from marginface.regularizers import Fresh, Stateless
from marginface.training.recipes import Recipe

STEPS = 6
WORTH_PROCESSES = 16  # a process that is started loads for as long as some rehearsals take


def rehearse(recipe: Recipe) -> list[float]:
    """The losses and metrics of a few steps of the recipe on fixed inputs in double precision: what its code computes."""
    return list(_played(_rehearsed(recipe)))


def remembered(recipe: Recipe) -> list[float]:
    """What `rehearse` gives, or gave when the same code was asked before."""
    played = _rehearsed(recipe)
    known = memory.recall("rehearsals", played.key)
    if not _is_rehearsal(known):
        known = rehearse(recipe)
        memory.keep("rehearsals", played.key, known)
    return list(known)


def prepare(recipes: Iterable[Recipe], jobs: int | None = None) -> int:
    """Play those that nobody remembers, several at once where there are many, and say how far it is. How many they were.

    Arguments: jobs: how many at once; None means as many as there are cores.
    """
    played = dict.fromkeys(map(_rehearsed, recipes))
    missing = [recipe for recipe in played if not _is_rehearsal(memory.recall("rehearsals", recipe.key))]
    if not missing:
        return 0
    from marginface.data.progress import track

    processes = jobs or os.cpu_count() or 1
    what = "rehearsing recorded runs"
    if processes == 1 or len(missing) < WORTH_PROCESSES:
        for recipe in track(missing, what):
            remembered(recipe)
    else:
        with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), start_worker, (processes,)) as pool:
            for _ in track(pool.map(remembered, missing), what, len(missing)):
                pass
    return len(missing)


def same(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether two rehearsals are of code that computes the same, but for rounding."""
    return len(a) == len(b) and all(math.isclose(x, y, rel_tol=1e-6, abs_tol=1e-9) for x, y in zip(a, b, strict=True))


def _rehearsed(recipe: Recipe) -> Recipe:
    """What is played of a recipe; recipes that differ in their seed alone have one rehearsal."""
    early = tuple(map(_early, recipe.regularizers))
    return dataclasses.replace(recipe, regularizers=early, precision="64-true", batch_size=16, epochs=3, seed=0, start=None)


def _early(term: Stateless | Fresh) -> Stateless | Fresh:
    """A term that comes in late in a run comes in halfway through its rehearsal, which would not be about it otherwise."""
    settings = dict(term.settings) if isinstance(term, Fresh) else {}
    if settings.get("start_step", 0) <= STEPS // 2:
        return term
    assert isinstance(term, Fresh)
    return Fresh.of(term.kind, **settings | {"start_step": STEPS // 2})


@cache
def _played(recipe: Recipe) -> tuple[float, ...]:
    from marginface.data.catalog import rehearsal_data
    from marginface.training import train

    run = train(recipe, rehearsal_data(recipe.data), device="cpu", max_steps=STEPS, progress=False)
    return (*run.curves["loss"], *run.metrics.values())


def _is_rehearsal(known: object) -> bool:
    return isinstance(known, list) and bool(known) and all(isinstance(value, int | float) for value in known)


def main() -> None:
    from marginface.book.papers import grids
    from marginface.book.records import lookup

    prepare(recipe for recipes in grids().values() for recipe in recipes if lookup(recipe) is not None)


if __name__ == "__main__":
    main()
