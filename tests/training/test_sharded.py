"""Training with classes over processes: the same run as with a whole head, and one that goes on with any number of them."""

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from tests.processes import together
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from marginface.adjacent import PAM
from marginface.data.types import FaceData, PairTest
from marginface.margins import ArcFace, Softmax
from marginface.regularizers import IAM, CenterLoss, Fresh, RingLoss
from marginface.sharded import ShardedMarginHead
from marginface.training import Run, train
from marginface.training.loop import Loop
from marginface.training.recipes import Recipe

# what has a state, but neither dropout nor BatchNorm, which see a process's own share of a batch
RECIPE = Recipe(
    ArcFace(16, 0.2),
    (
        IAM(0.1),
        Fresh.of(CenterLoss, weight=0.01),
        Fresh.of(CenterLoss, weight=0.01, centres="learned"),
        Fresh.of(RingLoss, weight=0.01),
        Fresh.of(PAM, weight=0.1),
    ),
    data="people",
    embedding_dim=4,
    steps=6,
    batch_size=12,
    lr=0.05,
    precision="64-true",
    flip=0.5,
    jitter=0.1,
    clip=5.0,
    average=0.9,
)
IN_PARTS = replace(RECIPE, accumulate=2)
HALF = replace(RECIPE, accumulate=2, precision="bf16-mixed")


def people() -> FaceData:
    numbers = np.random.default_rng(0)
    images = numbers.integers(0, 256, (50, 1, 6, 6), dtype=np.uint8)
    pairs = PairTest(images[:20], np.arange(0, 20), np.arange(20)[::-1].copy(), np.arange(20) % 2 == 0, np.arange(20) // 4)
    return FaceData(
        "people",
        "patterns",
        10,
        (1, 6, 6),
        TensorDataset(torch.tensor(images), torch.arange(50) % 10),
        {"pairs": pairs},
        "patterns",
    )


def plain(*_: Any, embedding_dim: int, **__: Any) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 8), nn.Tanh(), nn.Linear(8, embedding_dim))


class StoppedError(Exception):
    pass


def stop_after(steps: int) -> Any:
    learn = Loop.learn

    def learn_some(loop: Loop, *arguments: Any) -> None:
        if loop.step == steps:
            raise StoppedError
        learn(loop, *arguments)

    return mock.patch.object(Loop, "learn", learn_some)


def outcome(run: Run) -> dict[str, Any]:
    """What a run was like, with a whole head."""
    assert run.learner is not None
    head: Any = run.learner.head
    whole = head.gather() if isinstance(head, ShardedMarginHead) else head
    state = {**run.learner.backbone.state_dict(), **{f"head.{n}": v for n, v in whole.state_dict().items()}}
    tensors = {name: value.detach().clone() for name, value in state.items() if isinstance(value, Tensor)}
    return {"loss": torch.tensor(run.curves["loss"], dtype=torch.float64), "metrics": run.metrics, **tensors}


def go(out: Path | None, recipe: Recipe = RECIPE, **options: Any) -> dict[str, Any]:
    with mock.patch("marginface.backbones.create", plain):
        run = train(recipe, people(), device="cpu", out=out, progress=False, save_every=2, **options)
        return outcome(run)


def as_torchrun(rank: int, world: int) -> None:
    variables = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "LOCAL_WORLD_SIZE": world, "GROUP_RANK": 0}
    os.environ.update({name: str(value) for name, value in variables.items()})
    os.environ.update(TORCHELASTIC_RUN_ID="test", MASTER_ADDR="localhost", MASTER_PORT="29500")


def on_two(rank: int, root: Path) -> dict[str, dict[str, Any]]:
    as_torchrun(rank, 2)
    found = {"whole": go(None, sharded=False), "sharded": go(root / "through", sharded=True)}
    with stop_after(5), pytest.raises(StoppedError):
        go(root / "stopped", sharded=True)
    if rank == 0:
        shutil.copytree(root / "stopped", root / "elsewhere")
    found["went on"] = go(root / "stopped", sharded=True)
    sampled = replace(RECIPE, margin=Softmax(), sample_rate=0.3, regularizers=(), batch_size=4, clip=0.1)
    found["sampled"] = go(root / "sampled through", sampled)
    with stop_after(5), pytest.raises(StoppedError):
        go(root / "sampled", sampled)
    found["sampled went on"] = go(root / "sampled", sampled)
    found["in parts"], found["whole, in parts"] = (go(None, IN_PARTS, sharded=sharded) for sharded in (True, False))
    found["half"], found["whole, half"] = (go(None, HALF, sharded=sharded) for sharded in (True, False))
    return found


def on_three(rank: int, root: Path) -> dict[str, Any]:
    as_torchrun(rank, 3)
    return go(root / "three", sharded=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sharded")


@pytest.fixture(scope="module")
def two(folder: Path) -> list[dict[str, dict[str, Any]]]:
    return together(2, on_two, folder)


def assert_close(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name in one.keys() - {"metrics"}:
        rounded = name == "loss"  # to float32, by which it is handed out
        assert torch.allclose(one[name], other[name], rtol=1e-6 if rounded else 1e-9, atol=1e-11), name


@pytest.mark.slow
def test_it_is_the_run_of_whole_heads(two: list[dict[str, dict[str, Any]]]) -> None:
    """And of one process, which has the whole batch."""
    alone = go(None)
    for found in two:
        assert_close(found["sharded"], alone)
        assert_close(found["sharded"], found["whole"])
        assert found["sharded"]["metrics"] == found["whole"]["metrics"] == alone["metrics"]


@pytest.mark.slow
def test_a_batch_may_come_in_parts(two: list[dict[str, dict[str, Any]]]) -> None:
    """Of other samples than in one process: what regularizers keep sees these parts."""
    for found in two:
        assert_close(found["in parts"], found["whole, in parts"])
        assert found["in parts"]["metrics"] == found["whole, in parts"]["metrics"]


@pytest.mark.slow
def test_half_precision_is_the_same_run_but_for_rounding(two: list[dict[str, dict[str, Any]]]) -> None:
    for found in two:
        assert torch.allclose(found["half"]["loss"], found["in parts"]["loss"], rtol=0.02)
        weight, expected, whole = (found[name]["head.weight"].double() for name in ("half", "in parts", "whole, half"))
        assert (weight - expected).norm() < 0.02 * expected.norm()
        assert (weight - whole).norm() < 0.02 * expected.norm()


@pytest.mark.slow
@pytest.mark.parametrize(("through", "stopped"), [("sharded", "went on"), ("sampled", "sampled went on")])
def test_it_goes_on_bit_for_bit(through: str, stopped: str, two: list[dict[str, dict[str, Any]]]) -> None:
    for found in two:
        for name, value in found[through].items():
            assert name == "metrics" or torch.equal(found[stopped][name], value), name


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 3])
def test_it_goes_on_with_another_number_of_processes(
    processes: int, folder: Path, two: list[dict[str, dict[str, Any]]]
) -> None:
    shutil.copytree(folder / "elsewhere", folder / ("one" if processes == 1 else "three"))
    for found in [go(folder / "one", sharded=True)] if processes == 1 else together(3, on_three, folder):
        assert_close(found, two[0]["sharded"])


@pytest.mark.slow
def test_one_checkpoint_is_kept(folder: Path, two: list[dict[str, dict[str, Any]]]) -> None:
    assert [path.name for path in (folder / "through" / "checkpoints").iterdir()] == ["step-6"]


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    go(tmp_path, sharded=True)
    with pytest.raises(ValueError, match=r"run\.pt is of another run: its lr is 0\.05, not 0\.1"):
        go(tmp_path, replace(RECIPE, lr=0.1), sharded=True)


def test_what_was_not_finished_is_swept_away(tmp_path: Path) -> None:
    first = go(tmp_path, sharded=True)
    unfinished = tmp_path / "checkpoints" / "step-99"
    (unfinished / "tables").mkdir(parents=True)
    shutil.copy(tmp_path / "checkpoints" / "step-6" / "run.pt", unfinished)
    again = go(tmp_path, sharded=True)
    assert torch.equal(again["head.weight"], first["head.weight"])
    assert not unfinished.exists()


def test_damaged_tables_are_an_error(tmp_path: Path) -> None:
    go(tmp_path, sharded=True)
    next((tmp_path / "checkpoints" / "step-6" / "tables").glob("*.distcp")).unlink()
    with pytest.raises(ValueError, match="step-6"):
        go(tmp_path, sharded=True)
