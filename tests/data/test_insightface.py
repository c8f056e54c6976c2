"""Folders to train on: record files or people, with verification sets beside them."""

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest

from marginface.data.catalog import load, rehearsal_data
from marginface.data.images import encode_image
from marginface.data.recordio import write_records
from marginface.data.types import DataMissingError, FaceData, PairTest

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 24, 20, 3), dtype=np.uint8)


def write_bin(path: Path) -> None:
    path.write_bytes(pickle.dumps(([encode_image(image) for image in IMAGES], [True, False] * 3)))


def test_record_files_with_verification_sets(tmp_path: Path) -> None:
    write_records(tmp_path / "faces", [encode_image(image) for image in IMAGES], [i // 3 for i in range(12)])
    write_bin(tmp_path / "faces" / "agedb_30.bin")
    data = load("faces", tmp_path)
    assert isinstance(data, FaceData)
    assert (data.num_classes, data.image_shape, data.label) == (4, (3, 24, 20), "faces, 12 images of 4 people")
    np.testing.assert_array_equal(data.train[5][0].numpy(), IMAGES[5].transpose(2, 0, 1))
    test = data.tests["AgeDB-30"]
    assert isinstance(test, PairTest)
    np.testing.assert_array_equal(test.images[test.right[0]], IMAGES[1].transpose(2, 0, 1))
    assert test.same.tolist() == [True, False] * 3
    assert test.fold.tolist() == list(range(6))
    before = data.fingerprint
    write_bin(tmp_path / "faces" / "lfw.bin")
    again = load("faces", tmp_path)
    assert isinstance(again, FaceData)
    assert again.fingerprint != before
    assert set(again.tests) == {"AgeDB-30", "LFW"}


def test_a_folder_of_people(tmp_path: Path) -> None:
    for i, image in enumerate(IMAGES[:6]):
        path = tmp_path / "people" / f"person{i // 2}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), image[..., ::-1])
    data = load("people", tmp_path)
    assert isinstance(data, FaceData)
    assert data.num_classes == 3
    np.testing.assert_array_equal(data.train[3][0].numpy(), IMAGES[3].transpose(2, 0, 1))
    assert data.train[3][1] == 1


def test_a_photograph_of_another_size_is_named(tmp_path: Path) -> None:
    for i, image in enumerate([IMAGES[0], IMAGES[1], IMAGES[2, :20]]):
        path = tmp_path / "people" / f"person{i % 2}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_image(image))
    data = load("people", tmp_path)
    assert isinstance(data, FaceData)
    assert data.train[0][0].shape == (3, 24, 20)
    with pytest.raises(
        ValueError, match=r"person0.2\.png: an image of 20 × 20 pixels \(height × width\), where others have 24 × 20"
    ):
        _ = data.train[1]


@pytest.mark.parametrize("name", ["synthetic/{}x1/64", "synthetic/1x1/{}", "lfw/{}/48", "lfw/8/{}", "lfw+cfp/first/{}"])
@pytest.mark.parametrize("number", ["9" * 200, "٣", "0", "1\x1e"])
def test_names_with_numbers_that_are_none_are_unknown(name: str, number: str, tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match="unknown data set '"):
        load(name.format(number), tmp_path)


def test_what_is_missing_is_named(tmp_path: Path, no_data: None) -> None:
    with pytest.raises(DataMissingError, match="unknown data set 'faces_emore'"):
        load("faces_emore", tmp_path)
    with pytest.raises(DataMissingError, match="set data_root or MARGINFACE_DATA"):
        load("faces_emore")
    with pytest.raises(DataMissingError, match=r"lfw_people\.txt"):
        load("lfw+cfp/first/64", tmp_path)


@pytest.mark.parametrize("name", ["mnist", "lfw+cfp/second/48", "synthetic/5x2/40", "lfw/8/24", "faces_emore"])
def test_a_rehearsal_has_the_shape_of_the_real_thing(name: str) -> None:
    shapes = {"mnist": (1, 28, 28), "lfw+cfp/second/48": (1, 48, 48), "synthetic/5x2/40": (1, 40, 40), "lfw/8/24": (1, 24, 24)}
    assert rehearsal_data(name).image_shape == shapes.get(name, (3, 112, 112))


def test_synthetic_people_by_name() -> None:
    data = load("synthetic/6x3/32")
    assert isinstance(data, FaceData)
    assert "not real" in data.label
    assert (data.num_classes, data.image_shape) == (6, (1, 32, 32))
    images = data.train.__getitems__([0, 1, 17])  # type: ignore[attr-defined]
    assert [label for _, label in images] == [0, 0, 5]
    assert (images[1][0] == data.train[1][0]).all()
    test = data.tests["synthetic pairs"]
    assert isinstance(test, PairTest)
    assert ((test.left // 2 == test.right // 2) == test.same).all()
    assert (test.left != test.right).all()
