"""What a page shows: records first, then trainings on the spot, each row on its own data."""

import pickle
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.book.test_runs import QUICK

from marginface import training
from marginface.book import obtain, records, runs
from marginface.book.obtain import Row
from marginface.book.papers.interface import benchmarks
from marginface.data.catalog import load
from marginface.data.images import encode_image
from marginface.data.recordio import write_records
from marginface.data.types import DataMissingError, FaceData, ImageData
from marginface.margins import ArcFace
from marginface.training import Run, checkpoints, train
from marginface.training.loop import Loop


@pytest.fixture
def run() -> Run:
    return train(QUICK, max_steps=2)


def test_a_notebook_gets_records_first(run: Run, runs_folder: Path) -> None:
    records.store(run)
    (found,) = obtain.obtain({"loss": Row(QUICK)}, [0])["loss"]
    assert found.metrics == run.metrics
    assert "created" in found.provenance


def test_smoke_runs_are_labelled_and_never_stored(runs_folder: Path) -> None:
    results = obtain.obtain({"loss": Row(replace(QUICK, data="mnist"))}, [0, 1], "smoke")
    assert len(results["loss"]) == 2
    assert {run.data_label for run in results["loss"]} == {"digits (8×8), not MNIST"}
    assert not runs_folder.exists()


def test_rows_of_one_loss_on_data_with_one_stand_in_are_one_smoke_run(runs_folder: Path) -> None:
    rows = {data: Row(replace(QUICK, data=data)) for data in ("mnist", "digits")}
    rows["another loss"] = Row(replace(QUICK, margin=ArcFace(8, 0.3)))
    (mnist,), (digits,), (other,) = obtain.obtain(rows, [0], "smoke").values()
    assert mnist is digits
    assert other is not mnist


def test_without_mnist_the_book_falls_back_to_digits_and_says_so(runs_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, *arguments: object, **options: object) -> object:
        if name == "mnist":
            raise DataMissingError("MNIST is missing")
        return load(name)

    monkeypatch.setattr("marginface.data.catalog.load", missing)
    results = obtain.obtain({"loss": Row(replace(QUICK, data="mnist"))}, [0])
    assert {run.data_label for run in results["loss"]} == {"digits (8×8), not MNIST"}
    assert not runs_folder.exists()


@pytest.mark.slow
def test_the_papers_recipe_starts_on_record_files_and_goes_on_where_it_was(
    runs_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recipe of InterFace Table VI on a tiny set in InsightFace's format, its network and its length cut to the size."""
    numbers = np.random.default_rng(0)
    images = [encode_image(image) for image in numbers.integers(0, 256, (16, 32, 32, 3), dtype=np.uint8)]
    write_records(tmp_path / "faces_emore", images, [i // 4 for i in range(16)])
    (tmp_path / "faces_emore" / "agedb_30.bin").write_bytes(pickle.dumps((images[:12], [True, False] * 3)))
    small = {"backbone": "LResNet10E-IR-w16", "embedding_dim": 8, "batch_size": 8, "steps": 4, "precision": "32-true"}
    papers = benchmarks.TABLE6.ask("paper").rows
    recipes = {name: replace(papers[name].recipe, **small) for name in ("ArcFace", "InterFace did&dt")}  # type: ignore[arg-type]
    rows = {name: Row(recipe) for name, recipe in recipes.items()}
    whole = obtain.obtain(rows, [0], "paper", device="cpu", root=tmp_path)
    assert [run.provenance["steps"] for (run,) in whole.values()] == [4, 4]
    assert all(set(run.metrics) == {"AgeDB-30"} and run.recipe.margin.scale == 64 for (run,) in whole.values())  # type: ignore[union-attr]

    monkeypatch.setenv("MARGINFACE_RUNS", str(tmp_path / "again"))
    monkeypatch.setattr(training, "train", partial(train, save_every=1))
    learn = Loop.learn

    def interrupted(loop: Loop, *batch: Any) -> None:
        if loop.step == 3:
            raise KeyboardInterrupt
        learn(loop, *batch)

    monkeypatch.setattr(Loop, "learn", interrupted)
    with pytest.raises(KeyboardInterrupt):
        obtain.obtain(rows, [0], "paper", device="cpu", root=tmp_path)
    kept = runs.unfinished(recipes["ArcFace"])
    assert kept == tmp_path / "again" / "unfinished" / recipes["ArcFace"].key
    assert checkpoints.read(kept / "checkpoint.pt").step == 3
    steps: list[int] = []

    def watched(loop: Loop, *batch: Any) -> None:
        steps.append(loop.step)
        learn(loop, *batch)

    monkeypatch.setattr(Loop, "learn", watched)
    resumed = obtain.obtain(rows, [0], "paper", device="cpu", root=tmp_path)
    assert steps == [3, 0, 1, 2, 3]
    assert [run.curves["loss"] for (run,) in resumed.values()] == [run.curves["loss"] for (run,) in whole.values()]
    assert [run.metrics for (run,) in resumed.values()] == [run.metrics for (run,) in whole.values()]


@pytest.mark.parametrize("data", ["mnist", "lfw/3/32", "lfw+cfp/first/32/0.8", "faces_emore"])
def test_what_stands_in_can_be_tested_alike(data: str) -> None:
    instead = obtain.stand_in(data)
    assert "not" in instead.label
    if data == "lfw/3/32":
        assert (instead.num_classes, instead.image_shape) == (3, (1, 32, 32))
        assert isinstance(instead, ImageData)
        assert not (instead.train_images == instead.test_images).all(axis=(1, 2, 3)).any()
    elif data != "mnist":
        assert isinstance(instead, FaceData)
        planted = ["planted identification", "planted names", "planted labels few", "planted labels many"]
        assert list(instead.tests) == ["synthetic pairs", "templates", "identification", *planted]


def test_missing_roots_are_named(no_data: None, tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match="set data_root or MARGINFACE_DATA"):
        obtain.obtain({"loss": Row(replace(QUICK, data="mnist"))}, [0], "paper")
    with pytest.raises(ValueError, match="is not a folder"):
        obtain.obtain({"loss": Row(replace(QUICK, data="mnist"))}, [0], "paper", root=tmp_path / "nowhere")


def test_each_row_trains_on_its_own_data(runs_folder: Path) -> None:
    """Two rows of one table on two data sets, as ArcFace Table 11 has them."""
    rows = {"ten classes": Row(QUICK), "twelve people": Row(replace(QUICK, data="synthetic/12x4/16", backbone="Pixels"))}
    rows["twelve people"] = replace(rows["twelve people"], recipe=replace(rows["twelve people"].recipe, embedding_dim=256))
    found = obtain.obtain(rows, [0])
    assert [group[0].recipe.data for group in found.values()] == ["digits", "synthetic/12x4/16"]
    assert len({group[0].data_label for group in found.values()}) == 2


def test_data_of_a_name_that_nothing_has_is_no_reason_for_a_stand_in(runs_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match="lfw\\+cpf"):
        obtain.obtain({"loss": Row(replace(QUICK, data="lfw+cpf/first/64"))}, [0], root=tmp_path)


@pytest.mark.slow
def test_a_run_starts_from_the_network_of_another(runs_folder: Path) -> None:
    """The base is trained, recorded and kept; a second run from it does not train it again."""
    base = replace(QUICK, seed=1)
    later = replace(QUICK, seed=1, lr=1e-4, start=base)
    first = obtain.obtain({"tuned": Row(later)}, [1])["tuned"][0]
    assert first.recipe.start == base
    kept = runs.unfinished(base) / "checkpoint.pt"
    when = kept.stat().st_mtime_ns
    assert records.lookup(base) is not None
    obtain.obtain({"tuned": Row(replace(later, lr=2e-4))}, [1])
    assert kept.stat().st_mtime_ns == when
