"""Frames of a training: taken when they are due, and without changing it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from marginface.data.types import ImageData
from marginface.margins import NormFace
from marginface.training import train, trainer
from marginface.training.film import FRAMES
from marginface.training.recipes import Recipe
from marginface.variants import SubCenterArcFace

RECIPE = Recipe(NormFace(8), data="digits", embedding_dim=2, epochs=4, batch_size=16, optimizer="adam", lr=3e-3)


def test_frames_from_the_start_to_the_end(blobs: ImageData) -> None:
    run = train(RECIPE, blobs)
    steps, images, classes = (run.arrays[f"film_{name}"] for name in ("steps", "images", "classes"))
    assert steps[0] == 0
    assert steps[-1] == run.provenance["steps"] == 40
    assert images.shape == (len(steps), 160)
    assert classes.shape == (len(steps), 4)
    assert 15 < len(steps) <= FRAMES
    ends = {name: run.arrays[f"{name}_directions"].astype(float) for name in ("train", "class")}
    for angles, ended in ((images[-1], ends["train"]), (classes[-1], ends["class"])):
        off = angles.astype(float) - np.arctan2(ended[:, 1], ended[:, 0])
        assert np.abs((off + np.pi) % (2 * np.pi) - np.pi).max() < 0.01
    assert (classes[0] != classes[-1]).any()


@pytest.mark.slow
def test_filming_changes_nothing(blobs: ImageData, monkeypatch: pytest.MonkeyPatch) -> None:
    filmed = train(RECIPE, blobs)
    monkeypatch.setattr(trainer.Film, "watch", lambda *arguments: None)
    monkeypatch.setattr(trainer.Film, "arrays", lambda film: {})
    assert train(RECIPE, blobs).curves == filmed.curves


def test_only_two_dimensions_are_filmed(blobs: ImageData, tmp_path: Path) -> None:
    assert "film_steps" not in train(replace(RECIPE, embedding_dim=3), blobs, max_steps=2).arrays
    assert "film_steps" in train(RECIPE, blobs, max_steps=2, out=tmp_path).arrays
    assert "film_steps" in train(RECIPE, blobs, max_steps=2, out=tmp_path).arrays, "a finished run has its film, too"


@pytest.mark.parametrize("K", [2, 3])
def test_classes_of_several_weights_train_without_a_film(K: int, blobs: ImageData) -> None:
    run = train(replace(RECIPE, margin=SubCenterArcFace(16, 0.2, K)), blobs, max_steps=2)
    assert run.arrays["class_directions"].shape == (4, K, 2)
    assert not any(name.startswith("film") for name in run.arrays)
