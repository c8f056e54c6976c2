"""What a data set is: images to train on, the protocols that test, and the fingerprint by which a run knows its data again."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

VALIDATION = "validation"  # the name of the test on people set aside, by which a run is watched while it is trained


class DataMissingError(ValueError):
    """A data set is neither on this machine nor to be had over the network."""


class DataWarning(UserWarning):
    """Data can be used, and is not quite what one would expect."""


@dataclass(frozen=True, eq=False)
class ImageData:
    """Images and labels for training and testing.

    `label` is what a page writes beside a result on this data. Images are uint8 (N, C, H, W), labels int64 (N,).
    """

    name: str
    label: str
    num_classes: int
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray

    @property
    def image_shape(self) -> tuple[int, int, int]:
        channels, height, width = self.train_images.shape[1:]
        return channels, height, width

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self.train_images, self.train_labels, self.test_images, self.test_labels)

    @property
    def trained_on(self) -> dict[str, str]:
        """What is trained on, as `FaceData.trained_on`."""
        return {"data": self.fingerprint}

    @property
    def train(self) -> "Dataset[Any]":
        return TensorDataset(*self.tensors("train"))

    def tensors(self, split: str) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W) uint8 and labels (N,) int64 of "train" or "test"."""
        return torch.tensor(getattr(self, f"{split}_images")), torch.tensor(getattr(self, f"{split}_labels"))


class Images(Protocol):
    """Images (M, C, H, W) uint8, in an array or read when a slice of them is asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class PairTest:
    """A verification protocol with its images (M, C, H, W) uint8: each of P pairs names two of them by position.

    `left` and `right` are (P,) int64, `same` (P,) bool, `fold` (P,) int64.
    """

    images: np.ndarray
    left: np.ndarray
    right: np.ndarray
    same: np.ndarray
    fold: np.ndarray


@dataclass(frozen=True, eq=False)
class TemplateTest:
    """A protocol that compares templates, as IJB-B's and IJB-C's: several images of a person as one.

    `images` (M, C, H, W) uint8; `place` (N,) int64 says which of them each of the N entries is, `template` and `medium` (N,)
    int64 what it belongs to; each of P pairs names two templates, `left` and `right` (P,) int64, `same` (P,) bool. With
    `quality` (N,), such as the detector's score, an image counts by it and by its embedding's length, without it all alike.
    """

    images: Images
    place: np.ndarray
    template: np.ndarray
    medium: np.ndarray
    left: np.ndarray
    right: np.ndarray
    same: np.ndarray
    quality: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class IdentificationTest:
    """A protocol like MegaFace's: every image of a person is looked for among strangers by each other image of the person.

    `images` (M, C, H, W) uint8; `probes` (K,) int64 says which of them are looked for, `people` (K,) int64 who is on them;
    `distractors` (D,) int64 are the strangers. `noise` (M,) bool, where there is a list of them, says which images are known
    to be wrong: the test is then measured with and without these. With `depth`, the deepest rank that is told apart, the curves
    and counts by people are kept of it; without it rank 1 and one FAR, pair by pair.
    """

    images: Images
    probes: np.ndarray
    people: np.ndarray
    distractors: np.ndarray
    noise: np.ndarray | None = None
    depth: int | None = None


@dataclass(frozen=True, eq=False)
class AllPairsTest:
    """Every two images as a pair, or, where `kind` is given, every two of different kinds: poses, or families of typefaces.

    `images` (M, C, H, W) uint8; `people` (M,) int64 says who is on them, `kind` (M,) int64 of which kind they are. Where
    `place` (N,) int64 is given, N of the images are meant, and `people` and `kind` are (N,).
    """

    images: Images
    people: np.ndarray
    kind: np.ndarray | None = None
    place: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class RefinementTest:
    """Images under names some of which are wrong, to be found by their distance to the centre of the name's images.

    `images` (M, C, H, W) uint8; `place` (N,) int64 says which of them are meant, `labels` (N,) int64 under which names, `wrong`
    (N,) bool which of these names are wrong.
    """

    images: Images
    place: np.ndarray
    labels: np.ndarray
    wrong: np.ndarray


Test = PairTest | TemplateTest | IdentificationTest | AllPairsTest | RefinementTest


@dataclass(frozen=True, eq=False)
class FaceData:
    """Faces to train on, and protocols by name, on people who are not among them.

    `train` gives (image (C, H, W) uint8, label int) by index; `image_shape` is (C, H, W). `parts` tells for each file or
    person of the training set what it is like: a hash, a count. `mirrored` says whether an image's mirror shows the same, so
    that a test may add up the embeddings of both. `classes` are the people's names by label, where they have names; `crop` says
    how faces were cut out: "insightface" as `align.align` does it, "" where nobody knows.
    """

    name: str
    label: str
    num_classes: int
    image_shape: tuple[int, int, int]
    train: "Dataset[Any]"
    tests: dict[str, Test]
    fingerprint: str
    parts: dict[str, str] = field(default_factory=dict)
    mirrored: bool = True
    classes: tuple[str, ...] = ()
    crop: str = ""

    @property
    def trained_on(self) -> dict[str, str]:
        """What is trained on, part by part, so that a run that goes on can say what has changed; without the tests."""
        return self.parts or {"data": self.fingerprint}


def fingerprint(*arrays: np.ndarray) -> str:
    """sha256 over the types, shapes and values of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
