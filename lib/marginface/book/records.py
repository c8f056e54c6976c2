"""Records of runs: one JSON file each, named by the hash of its recipe.

A record is current while two fingerprints match: that of the data it was trained on, where that data is at hand, and its
rehearsal. A rehearsal plays the recipe for a few steps in double precision on a small fixed data set and keeps the losses
and metrics: whatever changes what the code computes changes them, and rewriting code without changing what it computes
does not.
"""

import hashlib
import json
import math
import os
import platform
import subprocess
import time
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pooch
import torch

import marginface
from marginface.book import memory, packing, rehearsals
from marginface.book.machine import processor
from marginface.data.catalog import folders, load
from marginface.data.files import data_folder, data_root, printable, writing
from marginface.data.types import DataMissingError
from marginface.training import Run
from marginface.training.recipes import Recipe

RUNS = "MARGINFACE_RUNS"  # the environment variable that names another folder for records
DAY = 86_400  # seconds after which data at hand is read through again, though its folders look the same


def folder() -> Path:
    """Where records are written: $MARGINFACE_RUNS, else data/runs of a clone, else the user's cache."""
    if os.environ.get(RUNS):
        return Path(os.environ[RUNS])
    return data_folder() / "runs" if os.access(data_folder() / "runs", os.W_OK) else Path(pooch.os_cache("marginface")) / "runs"


def lookup(recipe: Recipe) -> Run | None:
    """The record of a recipe, or None.

    Raises: ValueError naming the file where a record cannot be read, or is of another recipe.
    """
    for place in (folder(), data_folder() / "runs"):
        path = place / f"{recipe.key}.json"
        if path.exists():
            run = read(path)
            if run.recipe.key != recipe.key:
                raise ValueError(f"{printable(path)}: its recipe is not that of its name, but of record {run.recipe.key}")
            return run
    return None


def read(path: Path) -> Run:
    """The run in a file. Raises: ValueError naming the file where it is no record."""
    try:
        return _from_json(json.loads(path.read_text()))
    except (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"{printable(path)}: not a record of a run ({type(error).__name__}: {error})") from error


def store(run: Run) -> Path:
    """Write a record, whole or not at all, and return its path."""
    provenance = {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        # which code of PyTorch's a training runs through, and so how it rounds
        "processor": f"{processor()}, {torch.backends.cpu.get_cpu_capability()}",
        "rehearsal": rehearsals.rehearse(run.recipe),
    }
    run.provenance = provenance | run.provenance
    path = folder() / f"{run.recipe.key}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = _text(_to_json(run))  # raises before there is any file
    with writing(path) as file:
        file.write(content.encode())
    return path


def pack(path: Path, reads: Collection[str] | None) -> None:
    """Write a record anew as `store` would today, with its metrics and curves, and of its arrays those that are read.

    Arguments: reads: how the names of arrays begin that pages read, beside what is kept of all pairs and of the classes that
        were trained; None where metrics are all that is read, as of what a setting was chosen among. A record without all pairs
        keeps what it has.
    """
    run = read(path)
    if reads is None:
        run.arrays = {}
    elif any(" all pairs " in measure for measure in run.metrics):
        kept = ("trained ", *reads)
        run.arrays = {name: array for name, array in run.arrays.items() if " all pairs " in name or name.startswith(kept)}
    content = _text(_to_json(run))
    with writing(path) as file:
        file.write(content.encode())


def _text(record: dict[str, Any]) -> str:
    """JSON with a line for each part. Raises: ValueError for a number that JSON does not have."""
    lines = (f'"{part}":{json.dumps(value, separators=(",", ":"), allow_nan=False)}' for part, value in record.items())
    return "{" + ",\n".join(lines) + "}\n"


def hours(runs: Iterable[Run]) -> float:
    """How long recorded runs took, in hours: on a CPU of one thread, else of a device."""
    return sum(_seconds(run.provenance) for run in runs) / 3600


def _seconds(provenance: Mapping[str, Any]) -> float:
    return float(provenance["duration_s"] * (provenance["threads"] if provenance["device"] == "cpu" else 1))


def stale(run: Run, root: str | Path | None = None) -> str | None:
    """Why a record no longer stands for what the code and the data at hand would give; None where it does."""
    if not rehearsals.same(run.provenance.get("rehearsal", []), rehearsals.remembered(run.recipe)):
        return "the code computes something else than when this was recorded"
    current = _fingerprint(run.recipe.data, str(data_root(root) or ""))
    if current is not None and current != run.data_fingerprint:
        return f"{run.data_label} at hand is not the data that this was recorded on"
    return None


@cache
def _fingerprint(name: str, root: str) -> str | None:
    """The fingerprint of data at hand, as it was found in the last day where its folders look the same; None without data."""
    places = folders(name, root or None)
    if places is None:
        return _read_fingerprint(name, root)
    if not any(place.is_dir() for place in places):
        return None
    looks = hashlib.sha256(json.dumps([name, *map(_look, places)]).encode()).hexdigest()
    known = memory.recall("fingerprints", looks)
    if isinstance(known, dict) and known.keys() == {"read", "fingerprint"} and time.time() - known["read"] < DAY:
        return str(known["fingerprint"])
    found = _read_fingerprint(name, root)
    if found is not None:
        memory.keep("fingerprints", looks, {"read": time.time(), "fingerprint": found})
    return found


def _look(place: Path) -> list[Any]:
    """When a folder and what stands in it was changed last."""
    entries = sorted(place.iterdir()) if place.is_dir() else []
    return [str(place), *((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in entries)]


def _read_fingerprint(name: str, root: str) -> str | None:
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
        "curves": {name: [_short(value) for value in values] for name, values in run.curves.items()},
        "arrays": packing.pack(run.arrays),
    }


def _short(value: float) -> float:
    """Six digits, and no ".0"."""
    short = float(f"{value:.6g}")
    return int(short) if short.is_integer() else short


def _from_json(record: dict[str, Any]) -> Run:
    """Raises: what lookups in anything that is not of `_to_json`'s form raise."""
    data, provenance = record["data"], record["provenance"]
    for name, value, kind in (
        ("metrics", record["metrics"], dict),
        ("data's label", data["label"], str),
        ("data's fingerprint", data["fingerprint"], str),
        ("provenance", provenance, dict),
        ("rehearsal", provenance["rehearsal"], list),
    ):
        if not isinstance(value, kind):
            raise TypeError(f"its {name} is of type {type(value).__name__}")
    return Run(
        recipe=Recipe.from_json(record["recipe"]),
        metrics={name: _finite(value) for name, value in record["metrics"].items()},
        curves={name: [float(value) for value in values] for name, values in record["curves"].items()},
        arrays=packing.unpack(record["arrays"]),
        data_label=data["label"],
        data_fingerprint=data["fingerprint"],
        provenance=provenance | {"rehearsal": [_finite(value) for value in provenance["rehearsal"]]},
    )


def _finite(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no finite number")
    return value


@cache
def commit() -> str | None:
    """The commit of the code when this was first called, "+" where it had uncommitted changes; None outside a clone."""
    here = Path(marginface.__file__).parent
    git = ["git", "-C", str(here)]
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True)
    if head.returncode:
        return None
    changed = subprocess.run([*git, "status", "--porcelain", "--", str(here)], capture_output=True, text=True).stdout
    return head.stdout.strip() + ("+" if changed else "")
