"""Recorded runs: what a notebook gets, and what is run when."""

import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marginface.book import records, runs
from marginface.book.papers.interface import benchmarks
from marginface.data.catalog import load
from marginface.data.images import encode_image
from marginface.data.recordio import write_records
from marginface.data.types import DataMissingError, FaceData, ImageData
from marginface.margins import CosFace, NormFace
from marginface.regularizers import IAM, Fresh, RingLoss
from marginface.training import Run, checkpoints, train
from marginface.training.loop import Loop
from marginface.training.recipes import Recipe

QUICK = Recipe(NormFace(10), (IAM(0.2),), data="digits", epochs=1, batch_size=64, optimizer="adam", lr=1e-3)


@pytest.fixture
def run() -> Run:
    return train(QUICK, max_steps=2)


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
        "from dataclasses import replace; from marginface.book import runs; from tests.book.test_runs import QUICK;"
        "runs.run_missing([replace(QUICK, seed=s, epochs=3) for s in range(6)])"
    )
    command = [sys.executable, "-c", script]
    process = subprocess.Popen(command, cwd=Path(__file__).parents[2], env=os.environ, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list(runs_folder.glob("*.json")):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = {path.name: path.stat().st_mtime_ns for path in runs_folder.glob("*.json")}
    assert 1 <= len(kept) < 6
    subprocess.run(command, cwd=Path(__file__).parents[2], env=os.environ, check=True, capture_output=True)
    after = {path.name: path.stat().st_mtime_ns for path in runs_folder.glob("*.json")}
    assert len(after) == 6
    assert kept.items() <= after.items()


def test_a_notebook_gets_records_first(run: Run, runs_folder: Path) -> None:
    records.store(run)
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


def test_the_papers_recipe_starts_on_record_files_and_goes_on_where_it_was(
    runs_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recipe of InterFace Table VI on a tiny set in InsightFace's format, its network and its length cut to the size."""
    numbers = np.random.default_rng(0)
    images = [encode_image(image) for image in numbers.integers(0, 256, (16, 32, 32, 3), dtype=np.uint8)]
    write_records(tmp_path / "faces_emore", images, [i // 4 for i in range(16)])
    (tmp_path / "faces_emore" / "agedb_30.bin").write_bytes(pickle.dumps((images[:12], [True, False] * 3)))
    small = {"backbone": "LResNet10E-IR-w16", "embedding_dim": 8, "batch_size": 8, "steps": 4, "precision": "32-true"}
    papers = benchmarks.recipes("paper")
    recipes = {name: replace(papers[name], **small) for name in ("ArcFace", "InterFace did&dt")}  # type: ignore[arg-type]
    whole = runs.obtain(recipes, [0], "paper", device="cpu", root=tmp_path)
    assert [run.provenance["steps"] for (run,) in whole.values()] == [4, 4]
    assert all(set(run.metrics) == {"AgeDB-30"} and run.recipe.margin.scale == 64 for (run,) in whole.values())  # type: ignore[union-attr]
    assert "your run, not recorded" in runs.label(whole)

    monkeypatch.setenv("MARGINFACE_RUNS", str(tmp_path / "again"))
    monkeypatch.setattr(runs, "train", partial(train, save_every=1))
    learn = Loop.learn

    def interrupted(loop: Loop, *batch: Any) -> None:
        if loop.step == 3:
            raise KeyboardInterrupt
        learn(loop, *batch)

    monkeypatch.setattr(Loop, "learn", interrupted)
    with pytest.raises(KeyboardInterrupt):
        runs.obtain(recipes, [0], "paper", device="cpu", root=tmp_path)
    kept = runs.unfinished(recipes["ArcFace"])
    assert kept == tmp_path / "again" / "unfinished" / recipes["ArcFace"].key
    assert checkpoints.read(kept / "checkpoint.pt").step == 3
    steps: list[int] = []

    def watched(loop: Loop, *batch: Any) -> None:
        steps.append(loop.step)
        learn(loop, *batch)

    monkeypatch.setattr(Loop, "learn", watched)
    resumed = runs.obtain(recipes, [0], "paper", device="cpu", root=tmp_path)
    assert steps == [3, 0, 1, 2, 3]
    assert [run.curves["loss"] for (run,) in resumed.values()] == [run.curves["loss"] for (run,) in whole.values()]
    assert [run.metrics for (run,) in resumed.values()] == [run.metrics for (run,) in whole.values()]


@pytest.mark.parametrize("data", ["mnist", "lfw/3/32", "lfw+cfp/first/32/0.8", "faces_emore"])
def test_what_stands_in_can_be_tested_alike(data: str) -> None:
    instead = runs.stand_in(replace(QUICK, data=data))
    assert "not" in instead.label
    if data == "lfw/3/32":
        assert (instead.num_classes, instead.image_shape) == (3, (1, 32, 32))
        assert isinstance(instead, ImageData)
        assert not (instead.train_images == instead.test_images).all(axis=(1, 2, 3)).any()
    elif data != "mnist":
        assert isinstance(instead, FaceData)
        assert list(instead.tests) == ["synthetic pairs", "templates", "identification"]


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


def test_a_recipe_is_described_by_what_is_not_a_default() -> None:
    recipe = Recipe(CosFace(16, 0.1 + 0.05), (IAM(0.2), Fresh.of(RingLoss, weight=0.01)), seed=3)
    assert runs.describe(recipe) == "mnist IAM-Toy CosFace(scale=16, m=0.15) + IAM(beta=0.2) + RingLoss(weight=0.01) seed=3"
    assert runs.describe(replace(recipe, backbone="Pixels", margin=NormFace())) == "mnist Pixels none seed=3"
