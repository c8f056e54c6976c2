"""What stands in a checkpoint and cannot be of the run is named, before anything goes on from it."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from marginface.data.types import FaceData, ImageData
from marginface.margins import ArcFace, NormFace
from marginface.regularizers import CenterLoss, Fresh
from marginface.training import checkpoints, train
from marginface.training.checkpoints import Checkpoint
from marginface.training.loop import Loop
from marginface.training.recipes import Recipe

FACES = Recipe(
    ArcFace(16, 0.2),
    (Fresh.of(CenterLoss, weight=0.01),),
    data="people",
    backbone="LResNet10E-IR-w16",
    embedding_dim=8,
    epochs=1,
    batch_size=16,
    average=0.9,
)
FILM = Recipe(NormFace(8), data="digits", embedding_dim=2, epochs=1, batch_size=16, optimizer="adam", lr=3e-3)
WRONG = object()


def cut_off(recipe: Recipe, data: FaceData | ImageData, out: Path) -> Path:
    """The checkpoint of a run that was cut off after three steps of six."""
    with pytest.MonkeyPatch.context() as patched:
        learn = Loop.learn

        def fall_over(loop: Loop, *batch: Any) -> None:
            if loop.step == 3:
                raise KeyboardInterrupt
            learn(loop, *batch)

        patched.setattr(Loop, "learn", fall_over)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, data, out=out, max_steps=6, save_every=1, progress=False)
    return out / "checkpoint.pt"


def inside(value: Any, *places: Any, new: Any = WRONG) -> Any:
    """The value with another one at a place inside it, or with nothing there."""
    changed = deepcopy(value)
    within = changed
    for place in places[:-1]:
        within = within[place]
    if new is WRONG:
        del within[places[-1]]
    else:
        within[places[-1]] = new
    return changed


def wrong_anywhere(found: Checkpoint) -> Iterator[tuple[dict[str, Any], str]]:
    """What is not of the kind that it should be, and what the error says of it."""
    yield {"step": "3"}, "not a checkpoint: its step is of type str"
    yield {"step": True}, "not a checkpoint: its step is of type bool"
    yield {"step": 7}, "not a checkpoint: its step is 7 of 6, 3 into the epoch"
    yield {"step": -1}, "not a checkpoint: its step is -1 of 6"
    yield {"position": -1}, "not a checkpoint: its step is 3 of 6, -1 into"
    yield {"position": 4}, "not a checkpoint: its step is 3 of 6, 4 into"
    yield {"recipe": None}, "not a checkpoint: its recipe is of type NoneType"
    yield {"recipe": {3: 4}}, "not a checkpoint: its recipe has names that are no text"
    yield {"data": {3: "x"}}, "not a checkpoint: its data has names that are no text"
    yield {"random": []}, "its number of processes is 0, not 1"
    yield {"random": [3]}, "not a checkpoint of this run"
    yield {"random": [{"cpu": torch.zeros(2)}]}, "not a checkpoint of this run"
    yield {"epoch_start": torch.zeros(3, dtype=torch.uint8)}, "not a checkpoint of this run"
    yield {"losses": ["1", "2", "3"]}, "its losses are not 3 numbers"
    yield {"losses": [1.0]}, "its losses are not 3 numbers"
    yield {"seconds": float("nan")}, "its seconds are nan"
    yield {"theta": torch.zeros(3, dtype=torch.int64)}, "its theta is 3 int64, and 20 × 90 int64 here"
    yield {"theta": None}, "its theta is of type NoneType"
    yield {"film": 3}, "its film is of type int"
    yield {"scaler": {"scale": 3.0}}, "its scaler has a 'scale', unlike the one here"
    first = next(iter(found.learner))
    yield {"learner": {}}, f"its learner has no '{first}'"
    yield {"learner": {3: torch.zeros(3)}}, "its learner has names that are no text"
    yield {"learner": found.learner | {first: torch.zeros(3)}}, f"its learner, {first} is 3 float32, and "
    yield {"learner": found.learner | {first: None}}, f"its learner, {first} is of type NoneType, and "
    yield {"learner": found.learner | {first: found.learner[first].cfloat()}}, f"its learner, {first} is .* complex64, and "
    extra = "head._extra_state"
    yield {"learner": found.learner | {extra: 3}}, f"its learner, {extra} is of type int, and dict here"
    yield {"learner": inside(found.learner, extra, "step", new="x")}, f"its learner, {extra}, step is of type str"
    yield {"schedule": {}}, "its schedule has no 'base_lrs'"
    yield {"schedule": found.schedule | {"base_lrs": [0.1]}}, "its schedule, base_lrs has no 1"
    yield {"schedule": found.schedule | {"_last_lr": ["x", "x"]}}, "its schedule, _last_lr, 0 is of type str"
    yield {"schedule": found.schedule | {"step": 3}}, "its schedule has a 'step', unlike the one here"
    yield {"schedule": found.schedule | {"last_epoch": -7}}, "its schedule or its place in the epoch is not that of its step"
    yield {"optimizer": {"state": 3}}, "not a checkpoint of this run"
    yield {"optimizer": found.optimizer | {"state": 3}}, "not a checkpoint of this run"
    yield {"optimizer": found.optimizer | {"state": {}}}, "its optimizer has no state"
    yield {"optimizer": found.optimizer | {"param_groups": []}}, "its optimizer has no 0"
    yield {"optimizer": inside(found.optimizer, "param_groups", 0, "lr")}, "its optimizer, 0 has no 'lr'"
    yield {"optimizer": inside(found.optimizer, "param_groups", 0, "lr", new="x")}, "its optimizer, 0, lr is of type str"
    yield {"optimizer": inside(found.optimizer, "state", 0, new=3)}, "its optimizer's state, 0 is of type int, and dict"
    yield {"optimizer": inside(found.optimizer, "state", 999, new={})}, "its optimizer's state has a 999"
    for name in found.optimizer["state"][0]:
        where = f"its optimizer's state, 0, {name} is"
        yield {"optimizer": inside(found.optimizer, "state", 0, name)}, f"its optimizer's state, 0 has no '{name}'"
        yield {"optimizer": inside(found.optimizer, "state", 0, name, new="x")}, f"{where} of type str"
        yield {"optimizer": inside(found.optimizer, "state", 0, name, new=torch.zeros(1))}, f"{where} 1 float32"


def wrong_in_faces(found: Checkpoint) -> Iterator[tuple[dict[str, Any], str]]:
    yield {"average": None}, "its average is of type NoneType, and "
    yield {"average": {"module.x": 3}}, "its average has no"


def wrong_in_a_film(found: Checkpoint) -> Iterator[tuple[dict[str, Any], str]]:
    yield {"film": found.film[:1]}, "its film has no 1, unlike the one here"
    yield {"film": [1] * len(found.film)}, "its film, 0 is of type int, and tuple here"
    yield {"film": [(torch.zeros(3), torch.zeros(4))] * len(found.film)}, "its film, 0, 0 is 3 float32, and 160 float16 here"


Wrong = Callable[[Checkpoint], Iterator[tuple[dict[str, Any], str]]]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "own"), [("faces", wrong_in_faces), ("film", wrong_in_a_film)])
def test_wrong_inner_values_are_named(name: str, own: Wrong, people: FaceData, blobs: ImageData, tmp_path: Path) -> None:
    """Before the first step: a run that goes on from a checkpoint fails on it at once, or not at all."""
    data: FaceData | ImageData = people if name == "faces" else blobs
    recipe = FACES if name == "faces" else FILM
    path = cut_off(recipe, data, tmp_path)
    found = checkpoints.read(path)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Loop, "learn", lambda *arguments: pytest.fail("it went on"))
        for changes, message in [*wrong_anywhere(found), *own(found)]:
            checkpoints.save(replace(found, **changes), path)
            with pytest.raises(ValueError, match=rf"checkpoint\.pt.*{message}"):
                train(recipe, data, out=tmp_path, max_steps=6, progress=False)
    checkpoints.save(found, path)
    assert train(recipe, data, out=tmp_path, max_steps=6, progress=False).provenance["steps"] == 6


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_what_every_optimizer_keeps_is_known(optimizer: Any, momentum: float, people: FaceData, tmp_path: Path) -> None:
    recipe = replace(FACES, optimizer=optimizer, momentum=momentum, lr=1e-3)
    cut_off(recipe, people, tmp_path)
    assert len(train(recipe, people, out=tmp_path, max_steps=6, progress=False).curves["loss"]) == 6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipe": {}}, "its recipe is none \\(KeyError: 'margin'\\)"),
        ({"recipe": {"margin": {"loss": "Tensor"}}}, "its recipe is none"),
        ({"average": {"module.0.weight": None}}, "its module.0.weight is of type NoneType"),
        ({"average": {"module.0.weight": torch.zeros(3).to_sparse()}}, "its module.0.weight is 3 float32 sparse_coo"),
        ({"average": {}}, "has a backbone of another shape: 0.weight is none there, and 16 × 1 × 3 × 3 here"),
    ],
)
def test_what_nothing_can_start_from_is_named(changes: dict[str, Any], message: str, people: FaceData, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    train(FACES, people, out=tmp_path, max_steps=1, progress=False)
    checkpoints.save(replace(checkpoints.read(path), **changes), path)
    with pytest.raises(ValueError, match=rf"checkpoint\.pt.*{message}"):
        train(replace(FACES, seed=1), people, start=path, max_steps=1, progress=False)


def test_a_start_with_another_network_says_how_it_differs(people: FaceData, tmp_path: Path) -> None:
    train(FACES, people, out=tmp_path, max_steps=1, progress=False)
    wider = replace(FACES, embedding_dim=16)
    with pytest.raises(ValueError, match=r"backbone of another shape: [\w.]+ is 8 × \d+ there, and 16 × \d+ here"):
        train(wider, people, start=tmp_path / "checkpoint.pt", max_steps=1, progress=False)


def test_the_form_of_a_state_is_names_kinds_and_shapes() -> None:
    """Numbers may be whole or not; what is a tensor here must be one there."""
    checkpoints.check_form({"a": [1, 2.0], "b": torch.ones(3)}, {"a": (1.5, 2), "b": torch.zeros(3)}, "state")
    with pytest.raises(ValueError, match="its state, b is 3 float64, and 3 float32 here"):
        checkpoints.check_form({"b": torch.zeros(3).double()}, {"b": torch.zeros(3)}, "state")
    with pytest.raises(ValueError, match="its state is of type bool, and float here"):
        checkpoints.check_form(True, 1.0, "state")
    with pytest.raises(ValueError, match="its state is of type ndarray, and 3 float32 here"):
        checkpoints.check_form(np.zeros(3), torch.zeros(3), "state")
