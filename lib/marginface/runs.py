"""Recorded runs: look one up, run what is missing, store it.

A record is one JSON file, named by the hash of its recipe. It is current while two fingerprints match: that of the data it
was trained on, where that data is at hand, and its rehearsal. A rehearsal plays the recipe for a few steps in double
precision on a small fixed data set and keeps the losses and metrics: whatever changes what the code computes changes
them, and rewriting code without changing what it computes does not.

    python -m marginface.runs            run what is missing
    python -m marginface.runs --only iam/table2 --force
"""

import argparse
import base64
import dataclasses
import json
import math
import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import cache
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pooch
import torch

import marginface
from marginface.data.catalog import (
    CLASSIFICATION,
    HALF_SPLIT,
    DataMissingError,
    FaceData,
    ImageData,
    data_root,
    load,
    rehearsal_data,
)
from marginface.published import data_folder
from marginface.recipes import Recipe, with_seeds
from marginface.training import Run, train

RUNS = "MARGINFACE_RUNS"  # the environment variable that names another folder for records
PROFILES = ("book", "smoke", "paper")
REHEARSAL_STEPS = 6


def folder() -> Path:
    """Where records are written: $MARGINFACE_RUNS, else data/runs of a clone, else the user's cache."""
    if os.environ.get(RUNS):
        return Path(os.environ[RUNS])
    return data_folder() / "runs" if os.access(data_folder() / "runs", os.W_OK) else Path(pooch.os_cache("marginface")) / "runs"


def lookup(recipe: Recipe) -> Run | None:
    """The record of a recipe, or None.

    Raises: ValueError naming the file where a record cannot be read.
    """
    for place in (folder(), data_folder() / "runs"):
        path = place / f"{recipe.key}.json"
        if path.exists():
            try:
                return _from_json(json.loads(path.read_text()))
            except (KeyError, TypeError, ValueError, zlib.error) as error:
                raise ValueError(f"{path}: not a record of a run ({type(error).__name__}: {error})") from error
    return None


def store(run: Run) -> Path:
    """Write a record, whole or not at all, and return its path."""
    provenance = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        "rehearsal": rehearse(run.recipe),
    }
    run.provenance = provenance | run.provenance
    path = folder() / f"{run.recipe.key}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps(_to_json(run), indent=1, allow_nan=False)  # raises before there is any file
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".", suffix=".tmp", delete=False) as file:
        file.write(content)
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)
    return path


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
    _commit()  # asked and remembered before the training, in which the code may be edited
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
            "paper": trained now on the paper's own data, never replaced by anything else.
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
        return _train_all(wanted, load(sample.data, root, fetch=False), device)
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


def stand_in(recipe: Recipe) -> ImageData | FaceData:
    """What there is without any data: digits for MNIST's, synthetic faces for faces. Their numbers mean nothing for either."""
    if recipe.data in CLASSIFICATION:
        return load("digits")
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
) -> dict[str, list[Run]]:
    def one(recipe: Recipe) -> Run:
        fitted = dataclasses.replace(recipe, data=data.name, epochs=epochs or recipe.epochs)
        return train(fitted, data, device=device, max_steps=max_steps)

    return {name: [one(recipe) for recipe in group] for name, group in wanted.items()}


def stale(run: Run, root: str | Path | None = None) -> str | None:
    """Why a record no longer stands for what the code and the data at hand would give; None where it does."""
    if not _close(run.provenance.get("rehearsal", []), rehearse(run.recipe)):
        return "the code computes something else than when this was recorded"
    current = _fingerprint(run.recipe.data, str(data_root(root) or ""))
    if current is not None and current != run.data_fingerprint:
        return f"{run.data_label} at hand is not the data that this was recorded on"
    return None


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
        line = {"record": recipe.key, "used by": ", ".join(names), "loss": _loss(recipe), "seed": recipe.seed}
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


@cache
def _rehearsal(recipe: Recipe) -> tuple[float, ...]:
    run = train(recipe, rehearsal_data(recipe.data), device="cpu", max_steps=REHEARSAL_STEPS, progress=False)
    return (*run.curves["loss"], *run.metrics.values())


def rehearse(recipe: Recipe) -> list[float]:
    """The losses and metrics of a few steps of the recipe on fixed inputs in double precision: what its code computes."""
    return list(_rehearsal(dataclasses.replace(recipe, precision="64-true", batch_size=16, epochs=3, seed=0)))


def describe(recipe: Recipe) -> str:
    """A recipe in a line: data, backbone, loss, seed."""
    return f"{recipe.data} {recipe.backbone} {_loss(recipe)} seed={recipe.seed}"


def _loss(recipe: Recipe) -> str:
    return " + ".join([str(recipe.margin), *(str(r) for r in recipe.regularizers)])


def _close(a: list[float], b: list[float]) -> bool:
    return len(a) == len(b) and all(math.isclose(x, y, rel_tol=1e-6, abs_tol=1e-9) for x, y in zip(a, b, strict=True))


@cache
def _fingerprint(name: str, root: str) -> str | None:
    try:
        return load(name, root or None, fetch=False).fingerprint
    except DataMissingError:
        return None


def _to_json(run: Run) -> dict[str, Any]:
    return {
        "key": run.recipe.key,
        "recipe": run.recipe.to_json(),
        "data": {"label": run.data_label, "fingerprint": run.data_fingerprint},
        "metrics": run.metrics,
        "provenance": run.provenance,
        "curves": {name: [float(f"{value:.6g}") for value in values] for name, values in run.curves.items()},
        "arrays": {name: _pack(array) for name, array in run.arrays.items()},
    }


def _from_json(record: dict[str, Any]) -> Run:
    return Run(
        recipe=Recipe.from_json(record["recipe"]),
        metrics=record["metrics"],
        curves=record["curves"],
        arrays={name: _unpack(packed) for name, packed in record["arrays"].items()},
        data_label=record["data"]["label"],
        data_fingerprint=record["data"]["fingerprint"],
        provenance=record["provenance"],
    )


def _pack(array: np.ndarray) -> dict[str, Any]:
    packed = base64.b64encode(zlib.compress(np.ascontiguousarray(array).tobytes(), 9)).decode()
    return {"dtype": str(array.dtype), "shape": list(array.shape), "zlib_base64": packed}


def _unpack(packed: dict[str, Any]) -> np.ndarray:
    values = np.frombuffer(zlib.decompress(base64.b64decode(packed["zlib_base64"])), dtype=packed["dtype"])
    return values.reshape(packed["shape"])


@cache
def _commit() -> str | None:
    """The commit of the code when this was first called, "+" where it had uncommitted changes; None outside a clone."""
    here = Path(marginface.__file__).parent
    git = ["git", "-C", str(here)]
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True)
    if head.returncode:
        return None
    changed = subprocess.run([*git, "status", "--porcelain", "--", str(here)], capture_output=True, text=True).stdout
    return head.stdout.strip() + ("+" if changed else "")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    from marginface.papers import GRIDS

    parser = argparse.ArgumentParser(prog="python -m marginface.runs", description="Run the book's recorded runs.")
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
