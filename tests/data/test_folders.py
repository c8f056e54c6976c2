"""Folders of people."""

from pathlib import Path

import numpy as np
import pytest

from marginface.data.folders import list_people
from marginface.data.images import encode_image
from marginface.data.types import DataMissingError

IMAGE = np.arange(60, dtype=np.uint8).reshape(5, 4, 3)


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(encode_image(IMAGE))


def test_people_and_images_in_order(tmp_path: Path) -> None:
    put(tmp_path, "s10/1.png", "s2/10.PNG", "s2/9.pgm", "s2/profile/1.jpg", "s1/01.bmp", "s1/1.bmp")
    put(tmp_path, "s1/notes.txt", "s1/.hidden.png", ".cache/1.png", "README")
    people = list_people(tmp_path)
    assert people.names == ("s1", "s2", "s10")
    assert people.paths == ("s1/01.bmp", "s1/1.bmp", "s2/9.pgm", "s2/10.PNG", "s2/profile/1.jpg", "s10/1.png")
    assert people.labels.tolist() == [0, 0, 1, 1, 1, 2]
    np.testing.assert_array_equal(people.read(5), IMAGE)


def test_folders_without_images_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match="nowhere: there is no such folder"):
        list_people(tmp_path / "nowhere")
    put(tmp_path, "1.png")
    with pytest.raises(ValueError, match="expected a folder for each person, there are none"):
        list_people(tmp_path)
    put(tmp_path, "ann/1.png", "bob/notes.txt")
    with pytest.raises(ValueError, match=r"bob: there are no images in it \(\.jpg"):
        list_people(tmp_path)


def test_a_damaged_image_is_named(tmp_path: Path) -> None:
    put(tmp_path, "ann/1.png")
    (tmp_path / "ann" / "1.png").write_bytes(b"text")
    with pytest.raises(ValueError, match=r"ann.1\.png: not a JPEG, PNG, WebP, BMP or PNM image: 4 bytes"):
        list_people(tmp_path).read(0)


def test_orl(shared: Path) -> None:
    people = list_people(shared / "orl_faces")
    assert people.names == tuple(f"s{i}" for i in range(1, 41))
    assert np.bincount(people.labels).tolist() == [10] * 40
    assert people.paths[:2] == ("s1/1.pgm", "s1/2.pgm")
    image = people.read(0)
    assert image.shape == (112, 92, 3)
    assert (image[..., 0] == image[..., 2]).all()


def test_lfw_and_cfp(shared: Path) -> None:
    lfw, cfp = list_people(shared / "lfw"), list_people(shared / "cfp" / "Data" / "Images")
    assert (len(lfw.names), len(lfw.paths)) == (5749, 13_233)
    assert np.bincount(cfp.labels).tolist() == [14] * 500
    assert cfp.paths[0] == "001/frontal/01.jpg"
