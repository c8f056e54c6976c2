"""Spoiled training sets: as spoiled as their names say, everywhere else as they were, and tested alike."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from marginface.data.catalog import is_known, other_half, rehearsal_data, unspoiled
from marginface.data.spoiled import spoil
from marginface.data.types import FaceData

SOUND = FaceData(
    "toy",
    "toys",
    50,
    (1, 2, 2),
    TensorDataset(torch.arange(1500, dtype=torch.int32).view(torch.uint8).reshape(1500, 1, 2, 2), torch.arange(1500) % 50),
    {},
    "sound",
)


def arrays(data: FaceData) -> tuple[np.ndarray, np.ndarray]:
    assert isinstance(data.train, TensorDataset)
    images, labels = data.train.tensors
    return images.numpy(), labels.numpy()


@pytest.mark.parametrize("rate", [10, 30])
def test_so_many_labels_are_somebody_elses(rate: int) -> None:
    (images, labels), (same_images, others) = arrays(SOUND), arrays(spoil(SOUND, f"wrong{rate}"))
    assert np.array_equal(images, same_images)
    assert (labels != others).sum() == round(rate / 100 * len(labels))
    assert set(others.tolist()) <= set(labels.tolist())
    received = np.bincount(others[labels != others], minlength=50)
    assert received.max() < 5 * received.mean(), "spread over all people"


def test_each_has_so_many_images_at_most_and_they_are_its_own() -> None:
    (images, labels), (few, own) = arrays(SOUND), arrays(spoil(SOUND, "each5"))
    assert np.bincount(own).tolist() == [5] * 50
    known = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    assert all(known[image.tobytes()] == label for image, label in zip(few, own, strict=True))


def test_which_are_kept_is_chance() -> None:
    places = [np.flatnonzero((arrays(SOUND)[0] == image).all(axis=(1, 2, 3)))[0] for image in arrays(spoil(SOUND, "each5"))[0]]
    kept = np.array(places) // 50  # each person's images stand 50 apart
    assert kept.max() > 20
    assert len(np.unique(kept)) > 25


def test_a_tail_begins_at_the_median_and_gives_nobody_more_than_there_is() -> None:
    labels = torch.cat([torch.zeros(90), torch.arange(1, 40).repeat(10), torch.tensor([40.0])]).long()
    sound = replace(SOUND, num_classes=41, train=TensorDataset(torch.zeros(len(labels), 1, 2, 2, dtype=torch.uint8), labels))
    counts = np.bincount(arrays(spoil(sound, "tail5"))[1], minlength=41)
    assert counts.max() <= 10
    assert counts[40] == 1
    assert (counts[1:40] >= 2).all()


def test_one_person_has_no_wrong_labels() -> None:
    alone = TensorDataset(torch.zeros(9, 1, 2, 2, dtype=torch.uint8), torch.zeros(9, dtype=torch.int64))
    with pytest.raises(ValueError, match="there is one person only"):
        spoil(replace(SOUND, num_classes=1, train=alone), "wrong10")


def test_a_long_tail_falls_by_the_same_factor() -> None:
    _, labels = arrays(SOUND)
    most = np.bincount(labels).max()
    counts = np.bincount(arrays(spoil(SOUND, "tail10"))[1])
    falling = np.sort(counts)[::-1]
    expected = np.maximum(2, np.round(most * 10.0 ** -np.linspace(0, 1, 50)))
    assert falling.tolist() == expected.tolist()
    assert counts.tolist() != falling.tolist(), "in an order that chance decides"


def test_tests_stay_and_the_fingerprint_does_not() -> None:
    spoiled, again = spoil(SOUND, "wrong10"), spoil(SOUND, "wrong10")
    assert spoiled.tests is SOUND.tests
    assert spoiled.fingerprint == again.fingerprint != SOUND.fingerprint
    assert spoiled.name == "toy/wrong10"
    assert spoiled.label == "toys, 10 % of the labels wrong"
    assert spoiled.num_classes == SOUND.num_classes


def test_names() -> None:
    assert unspoiled("glyphs/1000/32/choice/wrong30") == ("glyphs/1000/32/choice", "wrong30")
    assert unspoiled("photographs/wrong10") == ("photographs/wrong10", ""), "a folder of one's own"
    assert other_half("lfw+cfp/first/64/each5") == "lfw+cfp/second/64/each5"
    assert is_known("glyphs/1000/32/tail20")
    assert not is_known("glyphs/1000/32/wrong0")
    assert not is_known("glyphs/1000/32/wrong100")
    assert not is_known("glyphs/1000/32/wrong10/each5")
    assert unspoiled("glyphs/mine/each5") == ("glyphs/mine/each5", ""), "a folder that is called so"
    assert unspoiled("lfw+cfp/second/64/choice/wrong10") == ("lfw+cfp/second/64/choice", "wrong10")
    assert rehearsal_data("glyphs/1000/32/wrong10").image_shape == (1, 32, 32)
