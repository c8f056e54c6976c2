"""Recorded runs: what is kept, what is found again, what is stale."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marginface import regularizers, runs
from marginface.data.catalog import DataMissingError, load
from marginface.margins import ArcFace, CosFace, NormFace, Softmax, SphereFace
from marginface.recipes import Recipe
from marginface.regularizers import IAM
from marginface.training import Run, train

QUICK = Recipe(NormFace(10), (IAM(0.2),), data="digits", epochs=1, batch_size=64, optimizer="adam", lr=1e-3)


@pytest.fixture
def run() -> Run:
    return train(QUICK, max_steps=2)


@pytest.mark.parametrize("margin", [Softmax(), NormFace(), CosFace(), ArcFace(fallback="easy"), SphereFace(4, 5.0, None)])
def test_a_recipe_survives_json(margin: NormFace) -> None:
    recipe = Recipe(margin, (IAM(0.1, on="logits"),), seed=3, milestones=(0.1, 0.2, 0.3))
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


def test_every_field_of_a_recipe_is_in_its_key() -> None:
    changed: dict[str, Any] = {
        "margin": NormFace(11),
        "regularizers": (IAM(0.3),),
        "data": "mnist",
        "backbone": "other",
        "embedding_dim": 2,
        "epochs": 2,
        "batch_size": 63,
        "optimizer": "sgd",
        "lr": 2e-3,
        "head_lr_factor": 2.0,
        "momentum": 0.5,
        "weight_decay": 1e-4,
        "milestones": (0.9,),
        "gamma": 0.5,
        "precision": "auto",
        "seed": 1,
    }
    assert set(changed) == set(QUICK.to_json())
    keys = {QUICK.key, *(replace(QUICK, **{name: value}).key for name, value in changed.items())}
    assert len(keys) == len(changed) + 1


def test_a_record_comes_back_as_it_was(run: Run, runs_folder: Path) -> None:
    path = runs.store(run)
    assert path == runs_folder / f"{QUICK.key}.json"
    found = runs.lookup(QUICK)
    assert found is not None
    assert (found.recipe, found.metrics, found.provenance) == (QUICK, run.metrics, run.provenance)
    for name, array in run.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)
        assert found.arrays[name].dtype == array.dtype
    record = json.loads(path.read_text())
    assert {"commit", "versions", "device", "duration_s", "rehearsal", "created"} <= set(record["provenance"])
    assert record["data"]["fingerprint"] == load("digits").fingerprint
    assert runs.stale(found) is None


def test_a_record_is_written_whole_or_not_at_all(run: Run, runs_folder: Path) -> None:
    run.metrics["accuracy"] = float("nan")
    with pytest.raises(ValueError, match="JSON"):
        runs.store(run)
    assert list(runs_folder.iterdir()) == []
    assert runs.lookup(QUICK) is None


def test_a_damaged_record_is_named(run: Run, runs_folder: Path) -> None:
    path = runs.store(run)
    path.write_text(path.read_text()[:-100])
    with pytest.raises(ValueError, match=f"{QUICK.key}.json: not a record"):
        runs.lookup(QUICK)


def test_other_data_makes_a_record_stale(run: Run, runs_folder: Path) -> None:
    runs.store(replace(run, data_fingerprint="0" * 64))
    found = runs.lookup(QUICK)
    assert found is not None
    assert "not the data" in (runs.stale(found) or "")
    assert "STALE" in runs.label({"loss": [found]})


def test_code_that_computes_something_else_makes_a_record_stale(
    run: Run, runs_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.store(run)
    found = runs.lookup(QUICK)
    assert found is not None
    runs._rehearsal.cache_clear()
    monkeypatch.setattr(regularizers.IAM, "__call__", lambda self, terms: 1.001 * self.beta * terms.others.mean())
    assert "computes something else" in (runs.stale(found) or "")
    monkeypatch.undo()
    monkeypatch.setenv("MARGINFACE_RUNS", str(runs_folder))
    runs._rehearsal.cache_clear()
    assert runs.stale(found) is None


def test_missing_runs_are_run_once(runs_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipes = [replace(QUICK, seed=seed) for seed in (0, 1)]
    assert len(runs.run_missing(recipes)) == 2
    assert "[2/2]" in capsys.readouterr().err
    times = [path.stat().st_mtime_ns for path in sorted(runs_folder.iterdir())]
    assert len(runs.run_missing(recipes)) == 2
    assert [path.stat().st_mtime_ns for path in sorted(runs_folder.iterdir())] == times
    assert capsys.readouterr().err == ""
    runs.run_missing(recipes[:1], force=True)
    assert "[1/1]" in capsys.readouterr().err


def test_a_killed_series_goes_on_where_it_was(runs_folder: Path) -> None:
    """A process that is killed in the middle leaves whole records only; a second one runs just the rest."""
    script = (
        "from dataclasses import replace; from marginface import runs; from tests.test_runs import QUICK;"
        "runs.run_missing([replace(QUICK, seed=s, epochs=3) for s in range(6)])"
    )
    command = [sys.executable, "-c", script]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[1], env=os.environ, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list(runs_folder.glob("*.json")):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = {path.name: path.stat().st_mtime_ns for path in runs_folder.glob("*.json")}
    assert 1 <= len(kept) < 6
    subprocess.run(command, cwd=Path(__file__).parents[1], env=os.environ, check=True, capture_output=True)
    after = {path.name: path.stat().st_mtime_ns for path in runs_folder.glob("*.json")}
    assert len(after) == 6
    assert kept.items() <= after.items()


def test_a_notebook_gets_records_first(run: Run, runs_folder: Path) -> None:
    runs.store(run)
    (found,) = runs.obtain({"loss": QUICK}, [0])["loss"]
    assert found.metrics == run.metrics
    assert "1 recorded runs" in runs.label({"loss": [found]})


def test_smoke_runs_are_labelled_and_never_stored(runs_folder: Path) -> None:
    results = runs.obtain({"loss": replace(QUICK, data="mnist")}, [0, 1], "smoke")
    assert len(results["loss"]) == 2
    assert "digits (8×8), not MNIST · your run, not recorded" in runs.label(results)
    assert not runs_folder.exists()


def test_without_mnist_the_book_falls_back_to_digits_and_says_so(runs_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, *arguments: object, **options: object) -> object:
        if name == "mnist":
            raise DataMissingError("MNIST is missing")
        return load(name)

    monkeypatch.setattr(runs, "load", missing)
    results = runs.obtain({"loss": replace(QUICK, data="mnist")}, [0])
    assert "digits (8×8), not MNIST" in runs.label(results)
    assert not runs_folder.exists()


@pytest.mark.parametrize("seeds", ["all", "[0, -1]", "[]", "{}", [0.5], None])
def test_bad_seeds_are_named(seeds: object) -> None:
    with pytest.raises(ValueError, match="not a list of whole numbers"):
        runs.as_seeds(seeds)  # type: ignore[arg-type]


def test_seeds_come_as_a_list_or_as_papermill_hands_them_over() -> None:
    assert runs.as_seeds([0, 3]) == runs.as_seeds("[0, 3]") == [0, 3]


def test_bad_profiles_and_missing_roots_are_named(no_data: None, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown profile 'fast'; known: book, smoke, paper"):
        runs.obtain({"loss": QUICK}, [0], "fast")
    with pytest.raises(DataMissingError, match="set data_root or MARGINFACE_DATA"):
        runs.obtain({"loss": replace(QUICK, data="mnist")}, [0], "paper")
    with pytest.raises(ValueError, match="is not a folder"):
        runs.obtain({"loss": replace(QUICK, data="mnist")}, [0], "paper", root=tmp_path / "nowhere")
