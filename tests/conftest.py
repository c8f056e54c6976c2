"""What several tests share."""

import os
import warnings
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch
from hypothesis import settings
from torch.utils.data import TensorDataset

from marginface.data.files import DATA_ROOT
from marginface.data.images import encode_image
from marginface.data.types import FaceData, ImageData, PairTest

mpl.use("Agg")
settings.register_profile("no deadline", deadline=None)  # a busy machine is no reason to fail
settings.load_profile("no deadline")
# one thread, also for the processes that a test starts: of several the last digits depend on how busy the machine is
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs real data, by the fixture that it asks for."""
    for item in items:
        if "shared" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.data)


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


@pytest.fixture
def people() -> FaceData:
    """Twelve people, each a pattern of 16 × 16 with noise on it, ten images to train on each; four more to test on."""
    numbers = np.random.default_rng(0)
    patterns = numbers.integers(40, 216, (16, 1, 4, 4), dtype=np.uint8).repeat(4, axis=2).repeat(4, axis=3)
    noise = numbers.integers(-40, 41, (16, 10, 1, 16, 16))
    images = (patterns[:, None] + noise).astype(np.uint8)
    left = numbers.integers(0, 40, 60)
    right = np.where(np.arange(60) % 2 == 0, left // 10 * 10 + (left + 1) % 10, (left + 10) % 40)
    pairs = PairTest(images[12:].reshape(-1, 1, 16, 16), left, right, np.arange(60) % 2 == 0, np.arange(60) // 6)
    train = TensorDataset(torch.tensor(images[:12].reshape(-1, 1, 16, 16)), torch.arange(12).repeat_interleave(10))
    return FaceData("people", "patterns", 12, (1, 16, 16), train, {"pairs": pairs}, "patterns")


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """A folder of sixteen people with six images each: patterns of 16 × 16 pixels with noise on them."""
    return draw_people(tmp_path / "photographs", 16, 6)


def draw_people(folder: Path, people: int, each: int, seed: int = 0) -> Path:
    """A folder of people as patterns, which a small network learns in seconds."""
    numbers = np.random.default_rng(seed)
    for i in range(people):
        pattern = numbers.integers(40, 216, (4, 4, 3), dtype=np.uint8).repeat(4, axis=0).repeat(4, axis=1)
        (folder / f"person {i + 1}").mkdir(parents=True)
        for number in range(each):
            image = (pattern + numbers.integers(-30, 31, pattern.shape)).astype(np.uint8)
            (folder / f"person {i + 1}" / f"{number + 1}.png").write_bytes(encode_image(image))
    return folder


@pytest.fixture
def everything_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is quick says how far it is, too, at every step."""
    for name in ("SLOW", "FIRST_LOOK", "_Log.every"):
        monkeypatch.setattr(f"marginface.data.progress.{name}", 0.0)


@pytest.fixture(scope="module")
def mx() -> Any:
    """mxnet 1.9 looks for numpy.bool, which NumPy had before 1.24 and has again since 2."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not hasattr(np, "bool"):
            np.bool = np.bool_  # type: ignore[attr-defined]
        return pytest.importorskip("mxnet", reason="mxnet is not installed: pip install '.[mxnet]'")


@pytest.fixture(autouse=True)
def _same_seed() -> None:
    torch.manual_seed(0)
