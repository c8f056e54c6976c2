"""MNIST: the IDX format, its verification, and what happens without it."""

import gzip
import struct
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marginface.data import catalog, mnist
from marginface.data.catalog import load
from marginface.data.types import DataMissingError, ImageData


def idx(array: np.ndarray, kind: int = 8) -> bytes:
    return bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
GZIPPED = gzip.compress(idx(IMAGES), mtime=0)  # without the time in it: the same bytes, and test names, in every process


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_reads_plain_and_gzipped(pack: type, tmp_path: Path) -> None:
    path = tmp_path / "any-name"
    path.write_bytes(pack(idx(IMAGES)))
    np.testing.assert_array_equal(mnist.read_idx(path), IMAGES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file"),
        (b"\x89PNG....", "not an IDX file"),
        (idx(IMAGES, kind=0x0D), "IDX type 0x0d"),
        (idx(IMAGES)[:9], "header is cut off"),
        (idx(IMAGES)[:-1], r"23 bytes, but the header's shape \(2, 3, 4\) needs 24"),
        (idx(IMAGES) + b"x", "more bytes, but the header's shape"),
        (gzip.compress(idx(IMAGES) + b"x"), "more bytes, but the header's shape"),
        (GZIPPED[:-12], "damaged gzip"),
        (GZIPPED[:30] + b"\0" * 20, "damaged gzip"),
        (bytes([0, 0, 8, 3]) + b"\xff" * 12, "too many for a file of 16"),
        (bytes([0, 0, 8, 32]) + b"\xff" * 128, "too many for a file of 132"),
        (bytes([0, 0, 8, 65]) + bytes(4) + b"\0\0\0\1" * 64, "65 dimensions"),
    ],
)
def test_damaged_files_are_named(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "train-images"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        mnist.read_idx(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("promised", [24, 2**31])
def test_a_file_that_unpacks_to_gigabytes_is_refused_without_them(promised: int, tmp_path: Path) -> None:
    """Measured: 1.5 MB took 1.5 GB, and a MemoryError that named no file where there was less."""
    path = tmp_path / "bomb"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(bytes([0, 0, 8, 1]) + struct.pack(">I", promised))
        for _ in range(100):
            file.write(bytes(2**22))
    assert path.stat().st_size < 4_000_000
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"bomb: (more bytes, but|.*needs 2,147,483,648 bytes, too many for a file of)"):
        mnist.read_idx(path)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2 * path.stat().st_size + 2**20


@settings(deadline=None, max_examples=200)
@given(start=st.binary(max_size=24), flips=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=4))
def test_garbage_is_an_error_or_an_array_and_never_a_crash(
    start: bytes, flips: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(start or GZIPPED)
    for place, value in flips:
        content[place % len(content)] = value
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(content)
    try:
        array = mnist.read_idx(path)
    except ValueError:
        return
    assert array.dtype == np.uint8


def test_the_real_thing(shared: Path) -> None:
    data = load("mnist", shared)
    assert isinstance(data, ImageData)
    assert data.train_images.shape == (60_000, 1, 28, 28)
    assert data.test_images.shape == (10_000, 1, 28, 28)
    assert data.label == "MNIST"
    assert np.bincount(data.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    _, labels = data.tensors("test")
    assert labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert (data.image_shape, data.num_classes) == (catalog.CLASSIFICATION["mnist"], 10)


def test_plain_files_are_as_good_as_gzipped_ones(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "mnist").mkdir()
    for file in mnist.files():
        content = gzip.decompress((shared / "mnist" / file).read_bytes())
        (tmp_path / "mnist" / file.removesuffix(".gz")).write_bytes(content)
    assert load("mnist", tmp_path).fingerprint == load("mnist", shared).fingerprint


def test_a_well_formed_file_that_is_not_mnist_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "train-images-idx3-ubyte").write_bytes(idx(IMAGES))
    with pytest.raises(ValueError, match="not the canonical MNIST file"):
        load("mnist", tmp_path)


def test_a_truncated_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "train-images-idx3-ubyte").write_bytes(idx(IMAGES)[:-3])
    with pytest.raises(ValueError, match="needs 24"):
        load("mnist", tmp_path)


def test_missing_data_says_what_is_missing_and_where_it_looked(
    tmp_path: Path, no_data: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mnist.pooch, "os_cache", lambda name: tmp_path / "cache")
    with pytest.raises(DataMissingError, match=r"train-images-idx3-ubyte.gz is missing: no data root is set"):
        load("mnist", fetch=False)
    with pytest.raises(DataMissingError, match="not in"):
        load("mnist", tmp_path, fetch=False)


def test_a_download_that_fails_is_missing_data(tmp_path: Path, no_data: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnist.pooch, "os_cache", lambda name: tmp_path / "cache")
    nowhere = {name: replace(file, url="http://localhost:9/") for name, file in mnist.files().items()}  # the discard port
    monkeypatch.setattr(mnist, "files", lambda: nowhere)
    with pytest.raises(DataMissingError, match=r"no data root is set.*; fetching .* from http://localhost:9/ failed"):
        load("mnist")


def test_a_download_is_checked_and_kept(shared: Path, tmp_path: Path, no_data: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real fetcher, pointed at the real files."""
    monkeypatch.setattr(mnist.pooch, "os_cache", lambda name: tmp_path / "cache")
    monkeypatch.setattr(mnist.pooch, "retrieve", _copying(shared))
    assert load("mnist").fingerprint == load("mnist", shared).fingerprint


def _copying(shared: Path):  # type: ignore[no-untyped-def]
    """pooch.retrieve with a downloader that copies a file instead of asking the network; pooch still checks the hash."""
    import shutil

    import pooch

    retrieve = pooch.retrieve

    def from_disk(url: str, known_hash: str, fname: str, path: Path, downloader: object) -> str:
        def copy(url: str, output_file: str, pooch: object) -> None:
            shutil.copyfile(shared / "mnist" / fname, output_file)

        return retrieve(url, known_hash, fname=fname, path=path, downloader=copy)

    return from_disk


def test_an_unknown_name_and_a_missing_root_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown data set 'mnits': neither mnist, digits, "):
        load("mnits", tmp_path)
    with pytest.raises(ValueError, match=r"nowhere.*is not a folder"):
        load("mnist", tmp_path / "nowhere")


def test_digits_say_that_they_are_not_mnist() -> None:
    digits = load("digits")
    assert isinstance(digits, ImageData)
    assert digits.label == "digits (8×8), not MNIST"
    assert len(digits.train_images) + len(digits.test_images) == 1797
    assert (digits.image_shape, digits.num_classes) == (catalog.CLASSIFICATION["digits"], 10)
