"""Training sets of one's own."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import draw_people

from marginface.data import own
from marginface.data.align import NOTE, write_note
from marginface.data.folders import list_people
from marginface.data.images import encode_image
from marginface.data.recordio import write_records
from marginface.data.types import VALIDATION, AllPairsTest, DataMissingError, DataWarning, FaceData

IMAGE = np.arange(48, dtype=np.uint8).reshape(4, 4, 3).repeat(4, axis=0).repeat(4, axis=1)


def aside(data: FaceData) -> AllPairsTest:
    test = data.tests[VALIDATION]
    assert isinstance(test, AllPairsTest)
    return test


def test_people_are_set_aside_and_nobody_is_on_both_sides(photographs: Path) -> None:
    data = own.load(photographs, validate=0.25)
    test = aside(data)
    assert (data.num_classes, len(data.classes), len(data.train)) == (12, 12, 72)  # type: ignore[arg-type]
    assert len(test.images) == 24
    names = list_people(photographs).names
    apart = {names[i] for i in test.people}
    assert apart | set(data.classes) == set(names)
    assert not apart & set(data.classes)
    assert set(data.trained_on) == set(data.classes)
    image, label = data.train[0]
    assert (image.shape, label) == ((3, 16, 16), 0)
    assert test.images[3:5].shape == (2, 3, 16, 16)
    np.testing.assert_array_equal(
        test.images[0:1][0], list_people(photographs).read(int(test.people[0]) * 6).transpose(2, 0, 1)
    )


def test_who_is_set_aside_does_not_hang_on_others(tmp_path: Path) -> None:
    """New people may be added to those aside, and hardly anybody changes sides."""
    few, more = draw_people(tmp_path / "few", 40, 2), draw_people(tmp_path / "more", 44, 2)
    before, after = ({f"person {i + 1}" for i in range(n)} - set(own.load(f, 0.2).classes) for f, n in ((few, 40), (more, 44)))
    assert len(before) == 8
    assert len(before - after) <= 2


def test_everybody_can_be_trained_on(photographs: Path) -> None:
    data = own.load(photographs, validate=0)
    assert (data.num_classes, data.tests) == (16, {})
    assert data.label == "photographs, 96 images of 16 people"
    for share in (-0.1, 1):
        with pytest.raises(ValueError, match="must be a share of people"):
            own.load(photographs, validate=share)


def test_two_people_at_least_are_needed_to_test_on(tmp_path: Path) -> None:
    folder = draw_people(tmp_path / "few", 2, 2)
    with pytest.raises(ValueError, match="validate=0 sets nobody aside"):
        own.load(folder)
    (folder / "person 3").mkdir()
    (folder / "person 3" / "1.png").write_bytes(encode_image(IMAGE))  # one image makes no pair
    assert own.load(folder).classes == ("person 3",)


def test_what_cannot_be_read_is_left_out_and_named(photographs: Path) -> None:
    (photographs / "Грейс Hopper").mkdir()
    for name, content in {"1.png": encode_image(IMAGE), "broken.jpg": b"no image", "cut.png": encode_image(IMAGE)[:60]}.items():
        (photographs / "Грейс Hopper" / name).write_bytes(content)
    (photographs / "person 1" / "1.png").write_bytes(b"")
    with pytest.warns(DataWarning, match="images left out, for they cannot be read: 3") as told:
        data = own.load(photographs, validate=0)
    assert len(data.train) == 16 * 6 + 1 - 1  # type: ignore[arg-type]
    assert "Грейс Hopper" in data.classes
    for name in ("broken.jpg", "cut.png", "1.png"):
        assert name in str(told[0].message)


def test_a_person_of_whom_nothing_can_be_read_is_left_out(photographs: Path) -> None:
    for path in (photographs / "person 3").iterdir():
        path.write_bytes(b"damaged")
    with pytest.warns(DataWarning, match="cannot be read: 6"):
        data = own.load(photographs, validate=0)
    assert "person 3" not in data.classes
    assert {label for _, label in (data.train[i] for i in range(90))} == set(range(15))
    for path in photographs.glob("*/*"):
        path.write_bytes(b"damaged")
    with pytest.raises(ValueError, match="none of its images can be read"):
        own.load(photographs)


def test_images_of_two_sizes_are_scaled_and_that_is_said(photographs: Path) -> None:
    (photographs / "person 1" / "1.png").write_bytes(encode_image(IMAGE.repeat(2, axis=1)))
    with pytest.warns(DataWarning, match="images of 2 sizes are scaled to 112 × 112; `marginface align`"):
        data = own.load(photographs)
    assert data.image_shape == (3, 112, 112)
    small = own.load(photographs, size=24)
    assert small.image_shape == tuple(small.train[0][0].shape) == tuple(aside(small).images[0:1].shape[1:]) == (3, 24, 24)
    assert small.fingerprint != data.fingerprint
    with pytest.raises(ValueError, match="size=4 must be at least 8"):
        own.load(photographs, size=4)


LISTS = {
    "comma.csv": 'ann/1.png,Ann\nbob/1.png,"Bob, Jr."\n',
    "titles.csv": "label,path\nAnn,ann/1.png\nBob,bob/1.png\n",
    "tab.tsv": "ann/1.png\tAnn\nbob/1.png\tBob\n",
    "space.txt": "ann/1.png 0\n\nbob/1.png 1\n",
    "mxnet.lst": "0\t0\tann/1.png\n1\t1\tbob/1.png\n",
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_of_paths_and_labels(name: str, tmp_path: Path) -> None:
    for person in ("ann", "bob"):
        (tmp_path / person).mkdir()
        (tmp_path / person / "1.png").write_bytes(encode_image(IMAGE))
    (tmp_path / name).write_text(LISTS[name])
    data = own.load(tmp_path / name, validate=0)
    assert data.num_classes == len(data.train) == 2  # type: ignore[arg-type]
    assert [data.train[i][1] for i in range(2)] == [0, 1]
    assert data.classes[1] in ("Bob, Jr.", "Bob", "1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there are no images in the list"),
        ("path,label\n", "there are no images in the list"),
        ("a.png,Ann\nb.png\n", "list.csv, line 2: expected a path and a label, got 'b.png'"),
        ("a.png,Ann\n,Bob\n", "list.csv, line 2: expected a path and a label"),
    ],
)
def test_what_is_wrong_in_a_list_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        own.load(tmp_path / "list.csv")


def test_labels_that_are_numbers_stand_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("".join(f"{i}.png,{i}\n" for i in (10, 2, 1)))
    assert own.read_list(tmp_path / "list.csv").names == ("1", "2", "10")


def test_record_files_as_they_are(tmp_path: Path) -> None:
    labels = [i // 4 for i in range(40)]
    write_records(tmp_path / "set", [encode_image(IMAGE)] * 40, labels)
    whole = own.load(tmp_path / "set")
    assert (whole.num_classes, whole.tests, whole.crop) == (10, {}, "")
    data = own.load(tmp_path / "set" / "train.rec", validate=0.2)
    assert (data.num_classes, len(data.train), len(aside(data).images)) == (8, 32, 8)  # type: ignore[arg-type]
    assert sorted({data.train[i][1] for i in range(32)}) == list(range(8))
    assert "people set aside" in data.trained_on


def test_another_record_file_is_not_taken_for_train_rec(tmp_path: Path) -> None:
    write_records(tmp_path / "set", [encode_image(IMAGE)] * 4, [0, 0, 1, 1])
    for name in ("val.rec", "none.rec"):
        (tmp_path / "set" / "val.rec").write_bytes((tmp_path / "set" / "train.rec").read_bytes())
        with pytest.raises(ValueError, match=rf"{name}: a set of record files is train\.rec in a folder of its own"):
            own.load(tmp_path / "set" / name)
    (tmp_path / "set").rename(tmp_path / "set.rec")
    assert own.load(tmp_path / "set.rec").num_classes == 2


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_train_rec_may_be_a_link(tmp_path: Path) -> None:
    write_records(tmp_path / "set", [encode_image(IMAGE)] * 4, [0, 0, 1, 1])
    (tmp_path / "set" / "train.rec").rename(tmp_path / "store.rec")
    (tmp_path / "set" / "train.rec").symlink_to(tmp_path / "store.rec")
    assert own.load(tmp_path / "set" / "train.rec").label == "set, 4 images of 2 people"


def test_how_faces_were_cut_out_is_read_from_a_note(photographs: Path, tmp_path: Path) -> None:
    assert own.load(photographs).crop == ""
    write_note(photographs, 112)
    assert own.load(photographs).crop == "insightface"
    for wrong in ("{}", "no JSON", json.dumps({"crop": "mine"}), "[1]"):
        (photographs / NOTE).write_text(wrong)
        with pytest.raises(ValueError, match=NOTE):
            own.load(photographs)
    write_records(tmp_path / "set", [np.zeros((112, 112, 3), np.uint8)] * 2, [0, 1])
    assert own.load(tmp_path / "set").crop == "insightface"


def test_what_there_is_not_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataMissingError, match="nowhere: there is no such folder"):
        own.load(tmp_path / "nowhere")
    (tmp_path / "notes.doc").write_text("x")
    with pytest.raises(ValueError, match=r"expected a folder, train\.rec, or a list"):
        own.load(tmp_path / "notes.doc")


@pytest.mark.skipif(os.name == "nt", reason="such names are of Unix")
def test_names_that_are_no_utf8(photographs: Path) -> None:
    os.rename(os.fsencode(photographs) + b"/person 1", os.fsencode(photographs) + b"/Andr\xe9")
    data: Any = own.load(photographs, validate=0.2)
    assert data.num_classes == 13
