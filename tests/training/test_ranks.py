"""Training on several processes that have a whole head each: one network, and what is noted is of the whole batch."""

from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from tests.processes import together
from tests.training.test_sharded import StoppedError, as_torchrun, people, plain, stop_after
from torch import nn

from marginface.adaptive import AdaFace
from marginface.margins import ArcFace
from marginface.pairwise import NPairLoss
from marginface.training import Run, train
from marginface.training.recipes import Recipe

RECIPE = Recipe(ArcFace(16, 0.2), data="people", embedding_dim=4, steps=3, batch_size=18, lr=0.05)


def go(recipe: Recipe = RECIPE, **options: Any) -> Run:
    with mock.patch("marginface.backbones.create", plain):
        return train(recipe, people(), device="cpu", progress=False, **options)


# as in one process: no layer looks at the whole batch
NOTED = {
    "a whole head": RECIPE,
    "in parts": replace(RECIPE, accumulate=3, precision="64-true"),
    "a margin that meets batches": replace(RECIPE, margin=AdaFace(16, 0.2)),
    "pairs": replace(RECIPE, margin=NPairLoss(each=3)),
}


def noted(run: Run) -> tuple[list[float], Any]:
    """The loss curve, and histograms of θ where there are any."""
    return run.curves["loss"], run.arrays.get("theta_histogram")


class Seen(nn.Dropout):
    """Dropout that keeps which units of the first image it drops."""

    masks: list[list[bool]]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = super().forward(torch.ones_like(x))
        if self.training:
            self.masks.append((kept[0] > 0).tolist())
        return x * kept


def with_dropout(out: Path | None) -> tuple[list[list[bool]], torch.Tensor]:
    """What was dropped at each step of a run, or until it stopped, and the backbone."""
    drop = Seen(0.5)
    drop.masks = []

    def create(*_: Any, **__: Any) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(36, 64), drop, nn.Linear(64, 4))

    with mock.patch("marginface.backbones.create", create):
        run = train(RECIPE, people(), device="cpu", progress=False, out=out, save_every=1)
    return drop.masks, backbone(run)


def backbone(run: Run) -> torch.Tensor:
    assert run.learner is not None
    return torch.cat([p.detach().flatten() for p in run.learner.backbone.parameters()])


def on_two(rank: int, root: Path) -> dict[str, Any]:
    as_torchrun(rank, 2)
    found: dict[str, Any] = {f"in {parts} parts": backbone(go(replace(RECIPE, accumulate=parts))) for parts in (3, 4)}
    found["dropped"], found["backbone"] = with_dropout(None)
    with stop_after(2), pytest.raises(StoppedError):
        with_dropout(root)
    found["dropped then"], found["went on"] = with_dropout(root)
    runs = {name: go(recipe) for name, recipe in NOTED.items()}
    return found | {name: noted(run) for name, run in runs.items()}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return together(2, on_two, tmp_path_factory.mktemp("two"))


@pytest.mark.slow
@pytest.mark.parametrize("parts", [3, 4])
def test_ranks_have_one_backbone_in_however_many_parts_a_batch_comes(parts: int, two: list[dict[str, Any]]) -> None:
    """Each has 9 images, of which three are as few as two in four parts."""
    one, other = (found[f"in {parts} parts"] for found in two)
    assert torch.equal(one, other)


@pytest.mark.slow
def test_ranks_drop_units_of_their_own_and_go_on_with_them(two: list[dict[str, Any]]) -> None:
    one, other = (found["dropped"] for found in two)
    assert len(one) == len(other) == 3
    assert all(ours != theirs for ours, theirs in zip(one, other, strict=True))
    assert torch.equal(two[0]["backbone"], two[1]["backbone"])
    for found in two:
        assert found["dropped then"] == found["dropped"][2:]
        assert torch.equal(found["went on"], found["backbone"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a whole head", "in parts", "a margin that meets batches"])
def test_what_is_noted_is_of_the_whole_batch(name: str, two: list[dict[str, Any]]) -> None:
    """As one process notes it, and the same on every rank."""
    (losses, theta), (theirs, _) = (found[name] for found in two)
    alone, expected = noted(go(NOTED[name]))
    assert losses == theirs == pytest.approx(alone, rel=1e-5)
    assert theta.sum() == 3 * 18
    assert abs(theta - expected).sum() <= 2, "but for an angle at the border of a bin"


@pytest.mark.slow
def test_the_loss_of_pairs_is_the_mean_over_ranks(two: list[dict[str, Any]]) -> None:
    (losses, _), (theirs, _) = (found["pairs"] for found in two)
    assert losses == theirs
