"""Training sets that are spoiled on purpose: with wrong names, with few images of a person, with many people of few images.

For losses that were made for such data. The tests stay as they are.
"""

import re
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import TensorDataset

from marginface.data.types import FaceData, fingerprint

Ints = NDArray[np.int64]


def spoil(data: FaceData, how: str, seed: int = 0) -> FaceData:
    """The data set with fewer training images, or other labels for some.

    Arguments:
        data: with its training images in memory.
        how: "wrong10": 10 % of the training images have somebody else's label, each with the same chance; "each5": five images
            of a person at most; "tail20": in an order that chance decides, each person may have fewer images than the one
            before, by the same factor, from what the median person has down to 1/20 of it; two at least.
    Raises: ValueError for wrong labels where there is one person only.
    """
    assert isinstance(data.train, TensorDataset)
    images, labels = (part.numpy() for part in data.train.tensors)
    numbers, number = np.random.default_rng(seed), int(re.sub(r"\D", "", how))
    if how.startswith("wrong"):
        labels, what = _renamed(labels, number / 100, data.num_classes, numbers), f"{number} % of the labels wrong"
    else:
        most = _tail(labels, number, data.num_classes, numbers) if how.startswith("tail") else np.full(data.num_classes, number)
        kept = _at_most(labels, most, numbers)
        images, labels = images[kept], labels[kept]
        what = f"a long tail to 1/{number} of the images" if how.startswith("tail") else f"{number} images of each at most"
    return replace(
        data,
        name=f"{data.name}/{how}",
        label=f"{data.label}, {what}",
        train=TensorDataset(torch.tensor(images), torch.tensor(labels)),
        fingerprint=fingerprint(images, labels, np.frombuffer(data.fingerprint.encode(), np.uint8)),
    )


def _renamed(labels: Ints, rate: float, classes: int, numbers: np.random.Generator) -> Ints:
    if classes < 2:
        raise ValueError("a wrong label is somebody else's, and there is one person only")
    wrong = numbers.permutation(len(labels))[: round(rate * len(labels))]
    labels = labels.copy()
    labels[wrong] = (labels[wrong] + numbers.integers(1, classes, len(wrong))) % classes
    return labels


def _tail(labels: Ints, ratio: int, classes: int, numbers: np.random.Generator) -> Ints:
    """(C,) how many images a class may have: those of the median class, less and less."""
    most = float(np.median(np.bincount(labels, minlength=classes)))
    falling = most * float(ratio) ** -np.linspace(0, 1, classes)
    return np.maximum(2, np.round(numbers.permutation(falling)).astype(np.int64))


def _at_most(labels: Ints, most: Ints, numbers: np.random.Generator) -> Ints:
    """Which images are kept, in their order: of each class as many as it may have, by chance."""
    mixed = numbers.permutation(len(labels))
    mixed = mixed[np.argsort(labels[mixed], kind="stable")]
    sorted_labels = labels[mixed]
    place = np.arange(len(mixed)) - np.searchsorted(sorted_labels, sorted_labels)
    return np.sort(mixed[place < most[sorted_labels]])
