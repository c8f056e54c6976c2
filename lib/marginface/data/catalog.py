"""Image data sets by name, in memory, with the fingerprint by which a recorded run knows its data again."""

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

DATA_ROOT = "MARGINFACE_DATA"  # the environment variable that names the folder with mnist/, lfw/, …

# shape of an image (C, H, W) and number of classes: what can be said of a set without having it
SHAPES: dict[str, tuple[tuple[int, int, int], int]] = {"mnist": ((1, 28, 28), 10), "digits": ((1, 8, 8), 10)}


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
        """sha256 over shapes and values of all four arrays."""
        digest = hashlib.sha256()
        for array in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def tensors(self, split: str) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W) float32 in [-1, 1] and labels (N,) int64 of "train" or "test"."""
        images, labels = getattr(self, f"{split}_images"), getattr(self, f"{split}_labels")
        return torch.tensor(images).float().div(127.5).sub(1), torch.tensor(labels)


def data_root(root: str | Path | None = None) -> Path | None:
    """The data folder: the argument, else what MARGINFACE_DATA names, else None.

    Raises: ValueError if the folder so named does not exist.
    """
    named = root or os.environ.get(DATA_ROOT)
    if not named:
        return None
    path = Path(named).expanduser()
    if not path.is_dir():
        raise ValueError(f"data root {str(path)!r} ({'data_root' if root else DATA_ROOT}) is not a folder")
    return path


def load(name: str, root: str | Path | None = None, *, fetch: bool = True) -> ImageData:
    """A data set by name.

    Arguments:
        name: "mnist", or "digits": scikit-learn's bundled 8×8 digits.
        root: the data folder; None means MARGINFACE_DATA, then the cache of earlier downloads.
        fetch: whether it may be downloaded when it is not at hand.
    Raises:
        ValueError for an unknown name or a damaged file, and its subclass DataMissingError where the data is not at hand and
        cannot be fetched.
    """
    from marginface.data import digits, mnist

    loaders = {"mnist": mnist.load, "digits": digits.load}
    if name not in loaders:
        raise ValueError(f"unknown data set {name!r}; known: {', '.join(sorted(loaders))}")
    return loaders[name](data_root(root), fetch=fetch)


class DataMissingError(ValueError):
    """A data set is neither on this machine nor to be had over the network."""
