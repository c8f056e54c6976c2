"""Records: what is kept, what is found again, what is stale."""

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marginface import regularizers
from marginface.book import records
from marginface.book.items import Item
from marginface.book.obtain import Row
from marginface.data.catalog import load
from marginface.data.files import data_folder
from marginface.margins import ArcFace, CosFace, NormFace, Softmax, SphereFace
from marginface.regularizers import IAM
from marginface.training import Run, train
from marginface.training.recipes import Recipe

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
        "normalisation": "fixed",
        "schedule": "linear",
        "warmup": 0.1,
        "flip": 0.5,
        "jitter": 0.1,
        "dropout": 0.0,
        "clip": 5.0,
        "average": 0.9,
        "steps": 10,
        "start": QUICK,
    }
    assert set(changed) == {field.name for field in fields(Recipe)}
    keys = {QUICK.key, *(replace(QUICK, **{name: value}).key for name, value in changed.items())}
    assert len(keys) == len(changed) + 1


def test_a_record_comes_back_as_it_was(run: Run, runs_folder: Path) -> None:
    path = records.store(run)
    assert path == runs_folder / f"{QUICK.key}.json"
    found = records.lookup(QUICK)
    assert found is not None
    assert (found.recipe, found.metrics, found.provenance) == (QUICK, run.metrics, run.provenance)
    for name, array in run.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)
        assert found.arrays[name].dtype == array.dtype
    record = json.loads(path.read_text())
    assert {"commit", "versions", "device", "duration_s", "rehearsal", "created"} <= set(record["provenance"])
    assert record["data"]["fingerprint"] == load("digits").fingerprint
    assert records.stale(found) is None


def test_a_record_is_written_whole_or_not_at_all(run: Run, runs_folder: Path) -> None:
    run.metrics["accuracy"] = float("nan")
    with pytest.raises(ValueError, match="JSON"):
        records.store(run)
    assert list(runs_folder.iterdir()) == []
    assert records.lookup(QUICK) is None


def test_records_keep_their_names() -> None:
    """A field that is added to recipes must not give the recipes of older records another key."""
    paths = list((data_folder() / "runs").glob("*.json"))
    assert paths
    for path in paths:
        assert Recipe.from_json(json.loads(path.read_text())["recipe"]).key == path.stem


def test_a_damaged_record_is_named(run: Run, runs_folder: Path) -> None:
    path = records.store(run)
    path.write_text(path.read_text()[:-100])
    with pytest.raises(ValueError, match=f"{QUICK.key}.json: not a record"):
        records.lookup(QUICK)


def test_other_data_makes_a_record_stale(run: Run, runs_folder: Path) -> None:
    records.store(replace(run, data_fingerprint="0" * 64))
    found = records.lookup(QUICK)
    assert found is not None
    assert "not the data" in (records.stale(found) or "")
    item = Item("IAM", "Table 2", "x", rows=lambda p: {"loss": Row(QUICK)}, claims=lambda results: ())
    assert "STALE" in replace(item.ask(), runs={"loss": [found]}).label()


def test_code_that_computes_something_else_makes_a_record_stale(
    run: Run, runs_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records.store(run)
    found = records.lookup(QUICK)
    assert found is not None
    records._rehearsal.cache_clear()
    monkeypatch.setattr(regularizers.IAM, "__call__", lambda self, terms: 1.001 * self.beta * terms.others.mean())
    assert "computes something else" in (records.stale(found) or "")
    monkeypatch.undo()
    monkeypatch.setenv("MARGINFACE_RUNS", str(runs_folder))
    records._rehearsal.cache_clear()
    assert records.stale(found) is None
