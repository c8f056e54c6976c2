"""What several tests share."""

import os
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import torch

from marginface.data.catalog import DATA_ROOT, ImageData

mpl.use("Agg")


@pytest.fixture
def shared() -> Path:
    """The folder that MARGINFACE_DATA names; tests that need real data are skipped without it."""
    if not os.environ.get(DATA_ROOT):
        pytest.skip(f"{DATA_ROOT} is not set: this test needs real data")
    return Path(os.environ[DATA_ROOT])


@pytest.fixture
def no_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DATA_ROOT, raising=False)


@pytest.fixture
def runs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for records."""
    monkeypatch.setenv("MARGINFACE_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture
def blobs() -> ImageData:
    """Images that a network can learn in a few steps: a bright square whose place is the class."""
    numbers = np.random.default_rng(0)
    labels = np.arange(240) % 4
    images = numbers.integers(0, 60, (240, 1, 8, 8), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        row, column = 4 * (label // 2), 4 * (label % 2)
        image[0, row : row + 4, column : column + 4] += 180
    return ImageData("digits", "blobs", 4, images[:160], labels[:160], images[160:], labels[160:])


@pytest.fixture(autouse=True)
def _same_seed() -> None:
    torch.manual_seed(0)
