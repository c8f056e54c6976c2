"""Folders of people."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from marginface.data.folders import list_people
from marginface.data.images import encode_image
from marginface.data.types import DataMissingError, DataWarning

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


def test_links_are_followed_wherever_they_stand(tmp_path: Path) -> None:
    put(tmp_path, "people/ann/1.png", "others/2.png", "others/more/3.png")
    root = tmp_path / "people"
    (root / "bob").symlink_to(tmp_path / "others")
    (root / "ann" / "more").symlink_to(tmp_path / "others" / "more")
    (root / "ann" / "4.png").symlink_to(tmp_path / "others" / "2.png")
    assert list_people(root).paths == ("ann/1.png", "ann/4.png", "ann/more/3.png", "bob/2.png", "bob/more/3.png")
    (root / "bob" / "back").symlink_to(tmp_path / "others")
    with pytest.raises(ValueError, match=r"bob/back: a link that leads back to a folder above it"):
        list_people(root)


def test_what_is_no_plain_file_is_named_and_does_not_hang(tmp_path: Path) -> None:
    put(tmp_path, "ann/1.png")
    os.mkfifo(tmp_path / "ann" / "x.jpg")
    with pytest.raises(ValueError, match=r"ann/x\.jpg: not a plain file"):
        list_people(tmp_path)
    (tmp_path / "ann" / "x.jpg").unlink()
    os.mkfifo(tmp_path / "ann" / "x.txt")
    (tmp_path / "ann" / "2.jpg").symlink_to(tmp_path / "nowhere.jpg")
    with pytest.raises(ValueError, match=r"ann/2\.jpg: not a plain file, but a pipe, a device or a link to nothing"):
        list_people(tmp_path)


def test_what_systems_put_beside_people_is_left_out(tmp_path: Path) -> None:
    put(tmp_path, "ann/1.png", "ann/@eaDir/1.png", "__MACOSX/ann/._1.png", "@eaDir/1.png", "ann/.AppleDouble/1.png")
    people = list_people(tmp_path)
    assert (people.names, people.paths) == (("ann",), ("ann/1.png",))


def test_photographs_of_other_formats_are_read_or_named(tmp_path: Path) -> None:
    put(tmp_path, "ann/1.png", "bob/2.png", "bob/notes.txt")
    (tmp_path / "ann" / "3.WebP").write_bytes(cv2.imencode(".webp", IMAGE, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes())
    people = list_people(tmp_path)
    assert people.paths == ("ann/1.png", "ann/3.WebP", "bob/2.png")
    np.testing.assert_array_equal(people.read(1), IMAGE[..., ::-1])
    put(tmp_path, "ann/4.HEIC", "bob/5.tif")
    (tmp_path / "ann" / "4.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    told = (
        r"photographs left out because \.heic, \.tif is not read: 2, such as ann/4\.HEIC: it is HEIC; convert it to PNG or JPEG"
    )
    with pytest.warns(DataWarning, match=told):
        assert list_people(tmp_path).paths == people.paths
    put(tmp_path, "carl/6.heic")
    with pytest.raises(ValueError, match=r"carl: there are no images in it .*, but carl/6\.heic: convert it to one of them"):
        list_people(tmp_path)


def test_names_that_are_no_utf8_can_be_read_and_printed(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    put(tmp_path, f"{name}/1.png", f"{name}/2.heic")
    with pytest.warns(DataWarning, match=r"such as caf\\xe9/2\.heic"):
        people = list_people(tmp_path)
    assert people.names == (name,)
    assert list(people.listing()) == [name]
    (tmp_path / name / "1.png").write_bytes(b"text")
    with pytest.raises(ValueError, match=r"caf\\xe9/1\.png: not a JPEG"):
        people.read(0)
    (tmp_path / name / "1.png").unlink()
    with pytest.raises(ValueError, match=r"caf\\xe9: there are no images in it .*, but caf\\xe9/2\.heic"):
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
