"""Recorded runs: make what is missing, and list what there is.

python -m marginface.book.runs            run what is missing
python -m marginface.book.runs --only iam/table2 --force
"""

import argparse
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pandas as pd
import pooch

from marginface import training
from marginface.book import descriptions, rehearsals
from marginface.book.records import RUNS, commit, folder, lookup, stale, store
from marginface.book.workers import start_worker
from marginface.training import Run
from marginface.training.recipes import Recipe


def run_missing(
    recipes: list[Recipe],
    *,
    device: str = "auto",
    root: str | Path | None = None,
    force: bool = False,
    jobs: int = 1,
) -> list[Run]:
    """The recipes' runs, trained and stored where there is no current record. Says on stderr what it does.

    Arguments:
        force: whether to run again what is recorded.
        jobs: how many to run at once, each with its share of the CPU's cores.
    """
    todo = [r for r in recipes if force or (run := lookup(r)) is None or stale(run, root)]
    work = [(recipe, device, root) for recipe in todo]
    started = time.perf_counter()
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), start_worker, (jobs,)) as pool:
        done = map(_train_and_store, work) if jobs == 1 else pool.map(_train_and_store, work)
        for number, (recipe, metrics) in enumerate(zip(todo, done, strict=True), start=1):
            left = (time.perf_counter() - started) / number * (len(todo) - number) / 60
            line = f"[{number}/{len(todo)}] {descriptions.describe(recipe)}: {metrics}"
            say(line + (f"; about {left:.0f} min left" if left else ""))
    return [run for recipe in recipes if (run := lookup(recipe))]


def _train_and_store(work: tuple[Recipe, str, str | Path | None]) -> str:
    recipe, device, root = work
    commit()  # asked and remembered before the training, in which the code may be edited
    run = training.train(recipe, data_root=root, device=device, start=starting_point(recipe, device, root))
    store(run)
    return ", ".join(f"{name} {value:.4f}" for name, value in run.metrics.items())


def unfinished(recipe: Recipe) -> Path:
    """Where the log and the checkpoint of a run are kept that others start from, or that may be cut off before its end.

    Below $MARGINFACE_RUNS, else in the user's cache.
    """
    place = Path(os.environ[RUNS]) if os.environ.get(RUNS) else Path(pooch.os_cache("marginface"))
    return place / "unfinished" / recipe.key


def starting_point(recipe: Recipe, device: str = "auto", root: str | Path | None = None) -> Path | None:
    """The checkpoint that a recipe starts from, trained and recorded where it is not there; None for one that starts afresh."""
    if recipe.start is None:
        return None
    place = unfinished(recipe.start)
    if not (place / "checkpoint.pt").exists() or lookup(recipe.start) is None:
        before = starting_point(recipe.start, device, root)
        store(training.train(recipe.start, data_root=root, device=device, out=place, start=before))
    return place / "checkpoint.pt"


def overview(grids: dict[str, list[Recipe]]) -> pd.DataFrame:
    """A line for every record that a notebook asks for: what it is, what came out, where, when and whether it still stands."""
    wanted: dict[Recipe, list[str]] = {}
    for name, recipes in grids.items():
        for recipe in recipes:
            wanted.setdefault(recipe, []).append(name)
    rehearsals.prepare(wanted)
    lines = []
    for recipe, names in wanted.items():
        run = lookup(recipe)
        line: dict[str, object] = {
            "record": recipe.key,
            "used by": ", ".join(names),
            "data": recipe.data,
            "backbone": recipe.backbone,
        }
        line |= {"loss": descriptions.loss(recipe), "seed": recipe.seed}
        if run is None:
            lines.append(line | {"state": "missing"})
            continue
        (measure, accuracy), origin = next(iter(run.metrics.items())), run.provenance
        lines.append(
            line
            | {
                "measure": measure,
                "%": f"{100 * accuracy:.2f}",
                "device": origin["device"],
                "seconds": f"{origin['duration_s']:.0f}",
            }
            | {"made": origin["created"][:10], "commit": (origin["commit"] or "–")[:8], "state": stale(run) or "current"}
        )
    return pd.DataFrame(lines).fillna("–")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    from marginface.book.papers import grids

    known = grids()
    parser = argparse.ArgumentParser(prog="python -m marginface.book.runs", description="Run the book's recorded runs.")
    parser.add_argument("--only", metavar="NOTEBOOK", choices=sorted(known), help="such as iam/table2")
    parser.add_argument("--force", action="store_true", help="run again what is recorded")
    parser.add_argument("--jobs", type=int, default=1, help="how many at once")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--data-root")
    options = parser.parse_args()
    wanted = [options.only] if options.only else sorted(known)
    recipes = list(dict.fromkeys(recipe for name in wanted for recipe in known[name]))
    runs = run_missing(recipes, device=options.device, root=options.data_root, force=options.force, jobs=options.jobs)
    say(f"{len(runs)} of {len(recipes)} runs are recorded in {folder()}")


if __name__ == "__main__":
    main()
