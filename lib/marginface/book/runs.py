"""What a notebook asks for: recorded runs, and the training of what is missing.

python -m marginface.book.runs            run what is missing
python -m marginface.book.runs --only iam/table2 --force
"""

import argparse
import dataclasses
import json
import multiprocessing
import os
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pandas as pd
import pooch
import torch

from marginface.backbones import baselines
from marginface.book.records import RUNS, commit, folder, lookup, stale, store
from marginface.data import synthetic
from marginface.data.catalog import CLASSIFICATION, HALF_SPLIT, MOST_SEEN, load
from marginface.data.files import data_root
from marginface.data.types import DataMissingError, FaceData, ImageData
from marginface.regularizers import Fresh
from marginface.training import Run, train
from marginface.training.recipes import Recipe, with_seeds

PROFILES = ("book", "smoke", "paper")


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
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _start_worker, (jobs,)) as pool:
        done = map(_train_and_store, work) if jobs == 1 else pool.map(_train_and_store, work)
        for number, (recipe, metrics) in enumerate(zip(todo, done, strict=True), start=1):
            left = (time.perf_counter() - started) / number * (len(todo) - number) / 60
            _say(f"[{number}/{len(todo)}] {describe(recipe)}: {metrics}" + (f"; about {left:.0f} min left" if left else ""))
    return [run for recipe in recipes if (run := lookup(recipe))]


def _train_and_store(work: tuple[Recipe, str, str | Path | None]) -> str:
    recipe, device, root = work
    commit()  # asked and remembered before the training, in which the code may be edited
    run = train(recipe, data_root=root, device=device)
    store(run)
    return ", ".join(f"{name} {value:.4f}" for name, value in run.metrics.items())


def _start_worker(jobs: int) -> None:
    """Take a share of the cores, and end when the parent does, however it ends."""
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // jobs))
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def obtain(
    recipes: dict[str, Recipe],
    seeds: list[int],
    profile: str = "book",
    *,
    device: str = "auto",
    root: str | Path | None = None,
) -> dict[str, list[Run]]:
    """What a notebook shows: for every named recipe, one run a seed.

    Arguments:
        profile: "book": recorded runs; what is missing is trained on the spot and stored, or, where its data cannot be
            had, trained on its `stand_in` and not stored. "smoke": seconds on the stand-in; the numbers mean nothing.
            "paper": trained now on the paper's own data, never replaced by anything else; what was interrupted goes on from
            its last checkpoint in `unfinished`.
        root: the data folder.
    Raises: ValueError for an unknown profile; DataMissingError where "paper" has no data.
    """
    check_profile(profile)
    wanted = {name: with_seeds(recipe, seeds) for name, recipe in recipes.items()}
    sample = next(iter(recipes.values()))
    if profile == "smoke":
        return _train_all(wanted, stand_in(sample), device, epochs=1, max_steps=8)
    if profile == "paper":
        if data_root(root) is None:
            raise DataMissingError("profile 'paper' reads the paper's own data: set data_root or MARGINFACE_DATA to its folder")
        return _train_all(wanted, load(sample.data, root, fetch=False), device, keep=True)
    if (found := recorded(recipes, seeds)) is not None:
        return found
    try:
        load(sample.data, root)
    except DataMissingError as missing:
        instead = stand_in(sample)
        _say(f"{missing}: training on {instead.label} instead")
        return _train_all(wanted, instead, device)
    run_missing([recipe for group in wanted.values() for recipe in group], device=device, root=root)
    return recorded(recipes, seeds) or {}


def unfinished(recipe: Recipe) -> Path:
    """Where the profile "paper" keeps the log and the checkpoint of a run: below $MARGINFACE_RUNS, else in the user's cache."""
    place = Path(os.environ[RUNS]) if os.environ.get(RUNS) else Path(pooch.os_cache("marginface"))
    return place / "unfinished" / recipe.key


def stand_in(recipe: Recipe) -> ImageData | FaceData:
    """What there is without any data: digits for MNIST's, synthetic faces for faces. Their numbers mean nothing for either."""
    if recipe.data in CLASSIFICATION:
        return load("digits")
    if few := MOST_SEEN.fullmatch(recipe.data):
        return synthetic.load_classes(int(few[1]), 20, int(few[2]))
    match = HALF_SPLIT.fullmatch(recipe.data)
    return load(f"synthetic/12x4/{match[2] if match else 112}")


def recorded(recipes: dict[str, Recipe], seeds: list[int]) -> dict[str, list[Run]] | None:
    """The records of every recipe with every seed, or None where one is missing."""
    found = {name: [lookup(recipe) for recipe in with_seeds(recipes[name], seeds)] for name in recipes}
    complete = {name: [run for run in group if run is not None] for name, group in found.items()}
    return complete if complete == found else None


def as_seeds(seeds: list[int] | str) -> list[int]:
    """A notebook's seeds: a list, or the list as JSON, as papermill's -p hands it over.

    Raises: ValueError for anything else.
    """
    try:
        parsed = json.loads(seeds) if isinstance(seeds, str) else list(seeds)
    except (TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"seeds={seeds!r} is not a list of whole numbers such as [0, 1, 2]") from error
    if not (isinstance(parsed, list) and parsed and all(type(seed) is int and seed >= 0 for seed in parsed)):
        raise ValueError(f"seeds={seeds!r} is not a list of whole numbers such as [0, 1, 2]")
    return parsed


def check_profile(profile: str) -> None:
    """Raise a ValueError for a notebook profile that there is not."""
    if profile not in PROFILES:
        raise ValueError(f"unknown profile {profile!r}; known: {', '.join(PROFILES)}")


def _train_all(
    wanted: dict[str, list[Recipe]],
    data: ImageData | FaceData,
    device: str,
    epochs: int | None = None,
    max_steps: int | None = None,
    keep: bool = False,
) -> dict[str, list[Run]]:
    def one(recipe: Recipe) -> Run:
        fitted = dataclasses.replace(recipe, data=data.name, epochs=epochs or recipe.epochs)
        if not keep:
            return train(fitted, data, device=device, max_steps=max_steps)
        return train(fitted, data, device=device, out=unfinished(fitted), workers=min(8, os.cpu_count() or 1))

    return {name: [one(recipe) for recipe in group] for name, group in wanted.items()}


def label(results: dict[str, list[Run]], root: str | Path | None = None) -> str:
    """One line that says what numbers from these runs stand on. It goes beside every table and figure of them."""
    runs = [run for group in results.values() for run in group]
    data = ", ".join(sorted({run.data_label for run in runs}))
    seeds = sorted({run.recipe.seed for run in runs})
    devices = ", ".join(sorted({f"{run.provenance['device']} {run.provenance['precision']}" for run in runs}))
    recorded = [run for run in runs if "created" in run.provenance]
    if not recorded:
        kind = "your run, not recorded"
    else:
        old = [reason for run in recorded if (reason := stale(run, root))]
        kind = f"{len(recorded)} recorded runs" + (f", {len(old)} of them STALE: {old[0]}" if old else "")
    steps = ", ".join(str(s) for s in sorted({run.provenance["steps"] for run in runs}))
    return f"{data} · {kind} · seeds {seeds} · {steps} steps · {devices}"


def overview(grids: dict[str, list[Recipe]]) -> pd.DataFrame:
    """A line for every record that a notebook asks for: what it is, what came out, where, when and whether it still stands."""
    wanted: dict[Recipe, list[str]] = {}
    for name, recipes in grids.items():
        for recipe in recipes:
            wanted.setdefault(recipe, []).append(name)
    lines = []
    for recipe, names in wanted.items():
        run = lookup(recipe)
        line: dict[str, object] = {
            "record": recipe.key,
            "used by": ", ".join(names),
            "data": recipe.data,
            "backbone": recipe.backbone,
        }
        line |= {"loss": _loss(recipe), "seed": recipe.seed}
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


def describe(recipe: Recipe) -> str:
    """A recipe in a line: data, backbone, loss, seed."""
    return f"{recipe.data} {recipe.backbone} {_loss(recipe)} seed={recipe.seed}"


def _loss(recipe: Recipe) -> str:
    if recipe.backbone in baselines.NAMES:
        return "none"
    return " + ".join(_short(loss) for loss in (recipe.margin, *recipe.regularizers))


def _short(loss: Any) -> str:
    """A loss with those of its fields that are not at their defaults."""
    if isinstance(loss, Fresh):
        return str(loss)
    changed = {f.name: getattr(loss, f.name) for f in dataclasses.fields(loss) if getattr(loss, f.name) != f.default}
    shown = (f"{name}={value:g}" if isinstance(value, float) else f"{name}={value!r}" for name, value in changed.items())
    return f"{type(loss).__name__}({', '.join(shown)})"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    from marginface.book.papers import GRIDS

    parser = argparse.ArgumentParser(prog="python -m marginface.book.runs", description="Run the book's recorded runs.")
    parser.add_argument("--only", metavar="NOTEBOOK", choices=sorted(GRIDS), help="such as iam/table2")
    parser.add_argument("--force", action="store_true", help="run again what is recorded")
    parser.add_argument("--jobs", type=int, default=1, help="how many at once")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--data-root")
    options = parser.parse_args()
    wanted = [options.only] if options.only else sorted(GRIDS)
    recipes = list(dict.fromkeys(recipe for name in wanted for recipe in GRIDS[name]))
    runs = run_missing(recipes, device=options.device, root=options.data_root, force=options.force, jobs=options.jobs)
    _say(f"{len(runs)} of {len(recipes)} runs are recorded in {folder()}")


if __name__ == "__main__":
    main()
