"""Baselines: correlation of pixels, and principal components of unit variance."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from marginface.backbones import create
from marginface.backbones.baselines import Eigenfaces
from marginface.data.types import FaceData
from marginface.margins import NormFace
from marginface.training import train
from marginface.training.recipes import Recipe

RECIPE = Recipe(NormFace(), data="people", backbone="Pixels", embedding_dim=256)


def test_cosines_of_pixels_are_correlations() -> None:
    images = torch.rand(2, 1, 6, 5)
    x = create("Pixels", embedding_dim=30, image_shape=(1, 6, 5))(images)
    cosine = torch.nn.functional.cosine_similarity(x[:1], x[1:])
    assert cosine.item() == pytest.approx(np.corrcoef(images.flatten(1).numpy())[0, 1], abs=1e-6)
    with pytest.raises(ValueError, match="has 30 values"):
        create("Pixels", embedding_dim=31, image_shape=(1, 6, 5))


def test_eigenfaces_are_uncorrelated_and_of_unit_variance() -> None:
    images = torch.randn(200, 1, 6, 5) @ torch.randn(5, 5)
    backbone = create("Eigenfaces", embedding_dim=7, image_shape=(1, 6, 5))
    assert isinstance(backbone, Eigenfaces)
    backbone.fit(images)
    np.testing.assert_allclose(np.cov(backbone(images).numpy().T), np.eye(7), atol=1e-4)


def test_no_component_is_made_of_rounding() -> None:
    """Eight images differ in seven directions; the eighth would be noise, divided by what is nearly 0."""
    backbone = create("Eigenfaces", embedding_dim=8, image_shape=(1, 6, 5))
    assert isinstance(backbone, Eigenfaces)
    images = torch.randn(8, 1, 6, 5)
    backbone.fit(images)
    assert (backbone.components.norm(dim=0) > 0).tolist() == [True] * 7 + [False]
    torch.testing.assert_close(backbone(images).var(dim=0), torch.tensor([1.0] * 7 + [0.0]), atol=1e-4, rtol=1e-4)


def test_a_baseline_goes_through_training_like_the_rest(people: FaceData) -> None:
    for recipe in (RECIPE, replace(RECIPE, backbone="Eigenfaces", embedding_dim=10)):
        run = train(recipe, people)
        assert run.metrics["pairs"] > 0.9  # the people are patterns with noise on them
        assert run.provenance["steps"] == 0
        assert run.curves["loss"] == []
