"""Folders to train on: record files or people, with verification sets beside them."""

import os
import pickle
import shutil
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


def put_people(root: Path) -> None:
    for i, image in enumerate(IMAGES):
        path = root / f"person{i // 4}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_image(image))


def trained_on(root: Path) -> dict[str, str]:
    data = load("people", root)
    assert isinstance(data, FaceData)
    return data.trained_on


def test_what_changed_between_two_starts_is_told_by_people(tmp_path: Path) -> None:
    root = tmp_path / "people"
    put_people(root)
    before = trained_on(tmp_path)
    assert list(before) == ["person0", "person1", "person2"]
    (root / "person1").rename(root / "anna")
    renamed = trained_on(tmp_path)
    assert before.keys() ^ renamed.keys() == {"person1", "anna"}
    (root / "anna").rename(root / "person1")
    assert trained_on(tmp_path) == before
    (root / "person0" / "0.png").rename(root / "person1" / "0.png")
    moved = trained_on(tmp_path)
    assert {name for name in before if moved[name] != before[name]} == {"person0", "person1"}
    (root / "person1" / "0.png").rename(root / "person0" / "0.png")
    (root / "person2" / "8.png").write_bytes(encode_image(0 * IMAGES[8]))
    rewritten = trained_on(tmp_path)
    assert {name for name in before if rewritten[name] != before[name]} == {"person2"}


def test_what_changed_between_two_starts_is_told_by_record_files(tmp_path: Path) -> None:
    images, labels = [encode_image(image) for image in IMAGES], [i // 4 for i in range(12)]

    def written(images: list[bytes], labels: list[int]) -> dict[str, str]:
        shutil.rmtree(tmp_path / "people", ignore_errors=True)
        write_records(tmp_path / "people", images, labels)
        return trained_on(tmp_path)

    before = written(images, labels)
    others = {
        "labels": written(images, [(label + 1) % 3 for label in labels]),
        "images": written([images[0], images[0], *images[2:]], labels),
        "classes": written(images, [*labels[:-1], 3]),
    }
    assert written(images, labels) == before
    changed = {what: {name for name in before if now[name] != before[name]} for what, now in others.items()}
    assert changed == {"labels": {"train.rec"}, "images": {"train.rec"}, "classes": {"train.rec", "property"}}


def test_reading_says_what_it_does_where_it_takes_long(
    tmp_path: Path, everything_is_told: None, capsys: pytest.CaptureFixture[str]
) -> None:
    put_people(tmp_path / "people")
    load("people", tmp_path)
    told = capsys.readouterr().err
    write_records(tmp_path / "records", [encode_image(image) for image in IMAGES], [i // 4 for i in range(12)])
    write_bin(tmp_path / "records" / "lfw.bin")
    (tmp_path / "records" / "train.idx").unlink()
    load("records", tmp_path)
    told += capsys.readouterr().err
    assert "looking for records in train.rec: done" in told
    assert "reading lfw.bin: 12 of 12" in told
    assert "looking for people in people: 3 of 3" in told
    assert "looking at people: 12 of 12" in told


def test_two_sets_of_one_test_are_named(tmp_path: Path) -> None:
    put_people(tmp_path / "people")
    for one, other in (("lfw", "LFW"), ("cfp_fp", "CFP-FP"), ("mine", "Mine")):
        for name in (one, other):
            write_bin(tmp_path / "people" / f"{name}.bin")
        with pytest.raises(ValueError, match=rf"{other}\.bin and {one}\.bin are both test '{other}': rename one of them"):
            load("people", tmp_path)
        for name in (one, other):
            (tmp_path / "people" / f"{name}.bin").unlink()
    write_bin(tmp_path / "people" / os.fsdecode(b"caf\xe9.bin"))
    data = load("people", tmp_path)
    assert isinstance(data, FaceData)
    assert list(data.tests) == ["caf\\xe9"]


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
