"""Runs that are watched on people set aside, parts of batches, heads that learn alone, and what a checkpoint says of itself."""

import csv
import re
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning_fabric.loggers import CSVLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tests.conftest import draw_people

from marginface.adaptive import AdaFace
from marginface.data import own
from marginface.data.types import VALIDATION, DataWarning, FaceData, ImageData
from marginface.margins import ArcFace, L2Softmax, Margin, NormFace
from marginface.settings import first
from marginface.training import Run, checkpoints, train
from marginface.training.editing import changed
from marginface.training.learner import Learner
from marginface.training.loop import Loop
from marginface.training.recipes import Recipe, loss_kinds
from marginface.training.validation import NotConvergingWarning, Validation, trouble
from marginface.triplet import Triplet
from marginface.variants import CircleLoss

RECIPE = Recipe(
    NormFace(8), data="photographs", backbone="LResNet10E-IR-w16", embedding_dim=8, epochs=4, batch_size=16, lr=0.05, flip=0.5
)


@pytest.fixture
def data(photographs: Path) -> FaceData:
    return own.load(photographs, validate=0.25)


def assert_same_weights(one: Run, other: Run) -> None:
    assert one.learner is not None
    assert other.learner is not None
    theirs = other.learner.state_dict()
    for name, value in one.learner.state_dict().items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, theirs[name]), name


@pytest.mark.slow
def test_to_watch_a_run_changes_nothing_in_it(data: FaceData, tmp_path: Path) -> None:
    watched = train(replace(RECIPE, dropout=0.2), data, out=tmp_path, validate_every=3)
    assert_same_weights(watched, train(replace(RECIPE, dropout=0.2), replace(data, tests={})))
    rows = list(csv.DictReader((tmp_path / "log.csv").read_text().splitlines()))
    measured = {int(row["step"]): float(row["validation AUC"]) for row in rows if row["validation AUC"]}
    assert list(measured) == [3, 6, 9, 12, 15, 16]
    assert watched.metrics["validation AUC"] == measured[16]
    board = EventAccumulator(str(tmp_path)).Reload()
    assert [event.step for event in board.Scalars("validation AUC")] == list(measured)


def test_lightnings_loggers_are_told_of_every_step(data: FaceData, tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path / "logs", name="", version="")
    train(RECIPE, data, max_steps=4, validate_every=2, loggers=[logger], progress=False)
    rows = list(csv.DictReader(next(tmp_path.rglob("metrics.csv")).read_text().splitlines()))
    assert [row["step"] for row in rows] == ["1", "2", "3", "4"]
    assert [bool(row["validation AUC"]) for row in rows] == [False, True, False, True]
    assert all(float(row["theta"]) > 0 for row in rows)


@pytest.mark.slow
def test_the_best_state_is_kept_beside_the_last_also_when_killed(
    data: FaceData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = iter([0.5, 0.8, 0.7, 0.8])
    monkeypatch.setattr(Validation, "measure", lambda *_: {"validation AUC": next(values)})
    whole = train(RECIPE, data, out=tmp_path / "whole", validate_every=4)
    best, last = (checkpoints.read(tmp_path / "whole" / name) for name in ("best.pt", "checkpoint.pt"))
    assert (best.step, last.step) == (8, 16), "of equally good states the first"
    assert last.validation == [[4, 0.5], [8, 0.8], [12, 0.7], [16, 0.8]]

    values = iter([0.5, 0.8, 0.7, 0.8])
    learn = Loop.learn

    def fall_over(loop: Loop, *batch: object) -> None:
        if loop.step == 10:
            raise KeyboardInterrupt
        learn(loop, *batch)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(Loop, "learn", fall_over)
        with pytest.raises(KeyboardInterrupt):
            train(RECIPE, data, out=tmp_path / "killed", validate_every=4, save_every=9)
    again = train(RECIPE, data, out=tmp_path / "killed", validate_every=4)
    assert_same_weights(whole, again)
    assert checkpoints.read(tmp_path / "killed" / "best.pt").step == 8
    assert checkpoints.read(tmp_path / "killed" / "checkpoint.pt").validation == last.validation


def test_a_checkpoint_says_everything_about_itself(data: FaceData, tmp_path: Path) -> None:
    train(RECIPE, replace(data, crop="insightface"), out=tmp_path, max_steps=1)
    found = checkpoints.read(tmp_path / "checkpoint.pt")
    assert Recipe.from_json(found.recipe) == RECIPE
    assert found.about == {
        "label": data.label,
        "num_classes": 12,
        "classes": list(data.classes),
        "image_shape": [3, 16, 16],
        "colours": "RGB",
        "crop": "insightface",
        "mirrored": True,
    }
    assert VALIDATION in data.tests


def test_a_validation_that_is_none_is_refused(data: FaceData, tmp_path: Path) -> None:
    train(RECIPE, data, out=tmp_path, max_steps=1)
    found = checkpoints.read(tmp_path / "checkpoint.pt")
    for wrong in ([1], [[1]], [["1", 0.5]]):
        checkpoints.save(replace(found, validation=wrong), tmp_path / "wrong.pt")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="its validation has"):
            checkpoints.read(tmp_path / "wrong.pt")


def test_a_batch_in_parts_has_the_gradient_of_the_whole(data: FaceData) -> None:
    """Where no layer looks at the whole batch: in evaluation mode."""
    gradients = []
    for parts in (1, 3):
        recipe = replace(RECIPE, accumulate=parts, lr=1e-9, precision="64-true", flip=0.0)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(torch.nn.BatchNorm2d, "forward", lambda self, x: x)
            patched.setattr(torch.nn.BatchNorm1d, "forward", lambda self, x: x)
            run = train(recipe, data, max_steps=1)
        assert run.learner is not None
        gradients.append([p.grad for p in run.learner.parameters() if p.grad is not None])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_parts_that_are_too_small_are_refused(data: FaceData) -> None:
    with pytest.raises(ValueError, match="a batch of 16 in 9 parts on 1 processes leaves less than two images"):
        train(replace(RECIPE, accumulate=9), data)
    triplet = replace(RECIPE, margin=Triplet(each=4))
    with pytest.raises(ValueError, match="does not divide in 8 parts with 4 images"):
        train(replace(triplet, accumulate=8), data)
    assert train(replace(triplet, accumulate=2), data, max_steps=1).curves["loss"]


def test_a_batch_is_in_as_many_parts_as_asked_for_and_none_has_one_image(blobs: ImageData) -> None:
    sizes: list[int] = []
    forward = Learner.forward

    def watched(learner: Learner, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        sizes.append(len(labels))
        return forward(learner, images, labels)

    recipe = Recipe(NormFace(8), data="digits", batch_size=10, accumulate=4, optimizer="adam", lr=3e-3)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Learner, "forward", watched)
        train(recipe, blobs, max_steps=1)
    assert sizes == [3, 3, 2, 2]


def test_the_head_learns_alone_first(data: FaceData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a network for other people: their number is another, and only the head moves until the share is over."""
    others = own.load(draw_people(tmp_path / "others", 7, 6, seed=1), validate=0)
    train(RECIPE, others, out=tmp_path / "first", max_steps=2)
    start = tmp_path / "first" / "checkpoint.pt"
    before = checkpoints.backbone_weights(start)
    learn = Loop.learn

    def keep(loop: Loop, *batch: object) -> None:
        learn(loop, *batch)  # type: ignore[arg-type]
        loop.save(tmp_path / f"{loop.step}.pt")

    monkeypatch.setattr(Loop, "learn", keep)
    train(replace(RECIPE, freeze=0.5), data, start=start, max_steps=4)
    for step, moved in ((2, False), (3, True)):
        after = checkpoints.read(tmp_path / f"{step}.pt").learner
        assert all(torch.equal(value, after[f"backbone.{name}"]) for name, value in before.items()) != moved
        assert len(after["head.weight"]) == 12


def turned(at: float, until: float) -> np.ndarray:
    """Histograms of θ over 20 stretches, of which five are done: 10 images at an angle that goes from one to another."""
    theta = np.zeros((20, 90), dtype=np.int64)
    for i, angle in enumerate(np.linspace(at, until, 5)):
        theta[i, int(angle // 2)] = 10
    return theta


@pytest.mark.parametrize(("until", "stuck"), [(89, True), (84, False), (130, True), (40, False)])
def test_a_run_whose_angles_do_not_fall_is_told_of(until: float, stuck: bool) -> None:
    why = trouble([30.0] * 250, turned(90, until), 1000, 50, ArcFace(64, 0.5))
    assert (why is not None) == stuck
    if why is not None:
        assert "margin.m=Ramp(0, 0.5, 250)" in why
        assert "margin.scale=16" in why
        assert ("fallback=monotonic" in why) == (until == 130)
    for losses, epoch in (([30.0] * 249, 50), ([30.0] * 250, 200)):
        assert trouble(losses, turned(90, until), 1000, epoch, ArcFace(64, 0.5)) is None
    assert trouble([30.0] * 250, turned(78, 76), 1000, 50, Triplet()) is None


LOSSES: list[Margin] = [kind() for kind in loss_kinds().values() if issubclass(kind, Margin)]


@pytest.mark.parametrize("margin", [*LOSSES, L2Softmax(64)], ids=repr)
def test_what_is_advised_can_be_set(margin: Margin) -> None:
    why = trouble([30.0] * 250, turned(90, 130), 1000, 50, margin)
    assert why is not None
    settings = re.findall(r"(margin\.\w+=(?:Ramp\([^)]*\)|[\w.]+))", why)
    assert len({setting.partition("=")[0] for setting in settings}) == len(settings)
    recipe = Recipe(margin)
    for setting in settings:
        assert changed(recipe, [setting]).margin != margin
    assert any(setting.startswith("margin.m=") for setting in settings) == (0 < first(getattr(margin, "m", 0)) < 1)


def test_a_margin_that_cannot_grow_is_to_be_smaller() -> None:
    for margin, advice in ((AdaFace(), "margin.m=0.2, a smaller margin"), (CircleLoss(), "margin.m=0.625, with which less is")):
        assert advice in (trouble([30.0] * 250, turned(90, 89), 1000, 50, margin) or "")


def test_a_real_run_that_learns_nothing_is_told_of_and_one_that_learns_is_not(blobs: ImageData) -> None:
    learns = Recipe(NormFace(8), data="digits", embedding_dim=3, epochs=25, batch_size=32, optimizer="adam", lr=3e-3)
    with pytest.warns(NotConvergingWarning, match="it does not seem to converge. θ, the angle"):
        train(replace(learns, lr=1e-9, margin=ArcFace(64, 0.5)), blobs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(learns, blobs)


def test_damaged_images_are_no_reason_to_stop(photographs: Path) -> None:
    (photographs / "person 1" / "1.png").write_bytes(b"damaged")
    with pytest.warns(DataWarning, match="cannot be read: 1"):
        data = own.load(photographs)
    assert train(RECIPE, data, max_steps=2).curves["loss"]
