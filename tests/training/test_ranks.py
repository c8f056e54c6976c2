"""Training on several processes that have a whole head each: one network, and what is noted is of the whole batch."""

from dataclasses import replace
from typing import Any
from unittest import mock

import pytest
import torch
from tests.processes import together
from tests.training.test_sharded import as_torchrun, people, plain

from marginface.margins import ArcFace
from marginface.training import Run, train
from marginface.training.recipes import Recipe

RECIPE = Recipe(ArcFace(16, 0.2), data="people", embedding_dim=4, steps=3, batch_size=18, lr=0.05)


def go(recipe: Recipe = RECIPE, **options: Any) -> Run:
    with mock.patch("marginface.backbones.create", plain):
        return train(recipe, people(), device="cpu", progress=False, **options)


def backbone(run: Run) -> torch.Tensor:
    assert run.learner is not None
    return torch.cat([p.detach().flatten() for p in run.learner.backbone.parameters()])


def on_two(rank: int) -> dict[str, Any]:
    as_torchrun(rank, 2)
    return {f"in {parts} parts": backbone(go(replace(RECIPE, accumulate=parts))) for parts in (3, 4)}


@pytest.fixture(scope="module")
def two() -> list[dict[str, Any]]:
    return together(2, on_two)


@pytest.mark.slow
@pytest.mark.parametrize("parts", [3, 4])
def test_ranks_have_one_backbone_in_however_many_parts_a_batch_comes(parts: int, two: list[dict[str, Any]]) -> None:
    """Each has 9 images, of which three are as few as two in four parts."""
    one, other = (found[f"in {parts} parts"] for found in two)
    assert torch.equal(one, other)
