"""What a record keeps of the classes that were trained on."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from marginface.data.types import FaceData
from marginface.evaluation.sphere import spreads
from marginface.heads import MarginHead
from marginface.margins import ArcFace, CosFace, NormFace, Softmax
from marginface.training import Recipe, geometry, train
from marginface.training.learner import Learner
from marginface.training.testing import embed
from marginface.triplet import Triplet
from marginface.variants import SphereFace2

RECIPE = Recipe(CosFace(16, 0.3), data="people", backbone="LResNet10E-IR-w16", embedding_dim=8, batch_size=16, epochs=1)


def measured(learner: Learner, data: FaceData) -> dict[str, np.ndarray]:
    return geometry.geometry(learner, data, "fixed", torch.float32)


def test_every_image_of_a_small_training_is_looked_at(people: FaceData) -> None:
    head = MarginHead(256, 12, NormFace())
    learner = Learner(nn.Flatten(), head)
    images, labels = people.train.tensors  # type: ignore[attr-defined]
    expected = spreads(embed(learner.backbone, images, "fixed"), labels, head.weight.detach())
    found = measured(learner, people)
    assert all(found[f"trained {name}"] == pytest.approx(values, abs=1e-4) for name, values in expected.items())


def test_many_classes_and_images_are_looked_at_in_even_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 8 classes every second one, and of each as many images."""
    monkeypatch.setattr(geometry, "CLASSES", 4)
    monkeypatch.setattr(geometry, "IMAGES", 12)
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(8), [9, 9, 2, 9, 9, 9, 9, 9]))
    chosen = geometry._chosen(labels)
    assert np.unique(labels[chosen], return_counts=True)[1].tolist() == [3, 2, 3, 3]
    assert np.unique(labels[chosen]).tolist() == [0, 2, 4, 6]
    first = np.flatnonzero(labels == 0)
    assert chosen[:3].tolist() == first[[0, 3, 6]].tolist()


def test_shares_are_of_a_loss_and_its_margin() -> None:
    """Between two classes at right angles, samples at 40, 44, 46 and 10°: the margin is kept by the last alone."""
    W = torch.eye(3)
    degrees = torch.tensor([40.0, 44.0, 46.0, 10.0]).deg2rad()
    images = torch.stack([degrees.cos(), degrees.sin(), torch.zeros(4)], dim=1)[:, :, None, None]
    head = MarginHead(3, 3, ArcFace(16, 0.4))
    head.weight.data = W
    found = geometry._shares(head, images.flatten(1), torch.zeros(4, dtype=torch.int64))
    assert found[:2].tolist() == [0.25, 0.5]
    logits = 16 * torch.stack([(degrees + 0.4).cos(), degrees.sin(), torch.zeros(4)], dim=1)
    assert found[2] == pytest.approx(float(1 - logits.softmax(dim=1)[:, 0].mean()), abs=1e-5)
    head = MarginHead(3, 3, Softmax())
    head.weight.data = W
    assert geometry._shares(head, images.flatten(1), torch.zeros(4, dtype=torch.int64))[:2].tolist() == [0.25, 0]


def test_there_is_no_pull_of_a_loss_that_asks_every_class_by_itself(people: FaceData) -> None:
    """A sample's pull is σ(-z_y) there, whatever the other classes score."""
    run = train(replace(RECIPE, margin=SphereFace2(16)), people, device="cpu", progress=False, max_steps=2)
    assert run.arrays["trained shares"].shape == (2,)
    assert 0 <= run.arrays["trained shares"].sum() <= 1


def test_a_run_keeps_it_and_its_metrics_do_not_change(people: FaceData, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rehearsal is made of the metrics: those of older records have to stay what they were."""
    run = train(RECIPE, people, device="cpu", progress=False)
    kept = {name: array for name, array in run.arrays.items() if name.startswith("trained ")}
    assert len(kept) == 8
    assert sum(array.nbytes for array in kept.values()) < 250
    assert set(run.metrics) == {"pairs"}
    monkeypatch.setattr("marginface.training.trainer.geometry", lambda *arguments, **others: {})
    without = train(RECIPE, people, device="cpu", progress=False)
    assert (without.metrics, without.curves) == (run.metrics, run.curves)


def test_what_has_no_class_weights_or_was_not_trained_keeps_nothing(people: FaceData) -> None:
    for recipe in (replace(RECIPE, margin=Triplet(0.3, each=2)), replace(RECIPE, backbone="Pixels", embedding_dim=256)):
        run = train(recipe, people, device="cpu", progress=False)
        assert not any(name.startswith("trained ") for name in run.arrays), recipe.backbone


def test_images_that_are_not_in_memory_are_read_one_by_one(people: FaceData) -> None:
    class Read:
        def __init__(self, whole: TensorDataset) -> None:
            self.whole, self.labels = whole, whole.tensors[1].numpy()

        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            image, label = self.whole[index]
            return image, int(label)

    learner = Learner(nn.Flatten(), MarginHead(256, 12, NormFace()))
    there, read = measured(learner, people), measured(learner, replace(people, train=Read(people.train)))  # type: ignore[arg-type]
    assert all(np.array_equal(there[name], read[name]) for name in there)
