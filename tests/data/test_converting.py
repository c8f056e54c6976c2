"""Sets of faces from one form to another and back."""

import pickle
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import draw_people

from marginface.data import converting, own
from marginface.data.align import crop_of, write_note
from marginface.data.bins import load_bin
from marginface.data.converting import from_bin, to_bin, to_people, to_records
from marginface.data.folders import People, list_people
from marginface.data.images import encode_image
from marginface.data.pairs import read_pairs
from marginface.data.record_parts import RecordParts
from marginface.data.recordio import RecordDataset

IMAGE = np.arange(48, dtype=np.uint8).reshape(4, 4, 3).repeat(4, axis=0).repeat(4, axis=1)


def test_people_to_records_and_back(photographs: Path, tmp_path: Path) -> None:
    (photographs / "person 1").rename(photographs / "Грейс Hopper")
    write_note(photographs, 16)
    done = to_records(photographs, tmp_path / "records")
    assert (done.written, done.people, done.left_out) == (96, 16, {})
    data = own.load(tmp_path / "records" / "train.rec", validate=0.2)
    assert data.crop == "insightface"
    assert len(data.classes) == 13
    again = to_people(tmp_path / "records", tmp_path / "again")
    assert (again.written, again.people) == (96, 16)
    before, after = list_people(photographs), list_people(tmp_path / "again")
    assert before.names == after.names
    assert crop_of(tmp_path / "again") == "insightface"
    for path in before.paths:
        assert (photographs / path).read_bytes() == (tmp_path / "again" / path).read_bytes(), "not encoded anew"


def test_a_large_set_is_in_several_files(photographs: Path, tmp_path: Path) -> None:
    done = to_records(photographs, tmp_path / "records", part=40)
    assert (done.written, done.people) == (96, 16)
    assert [len(part) for part in RecordParts(tmp_path / "records").parts] == [40, 40, 16]
    assert own.load(tmp_path / "records").num_classes == 16
    again = to_people(tmp_path / "records", tmp_path / "again")
    assert (again.written, again.people) == (96, 16)
    assert list_people(tmp_path / "again").names == list_people(photographs).names
    with pytest.raises(ValueError, match="record files in it already"):
        to_records(photographs, tmp_path / "records")


def test_records_have_the_name_that_all_readers_look_for(photographs: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"val\.rec: a set of record files is train\.rec in a folder of its own"):
        to_records(photographs, tmp_path / "records" / "val.rec")
    assert not (tmp_path / "records").exists()
    assert to_records(photographs, tmp_path / "records" / "train.rec").written == 96


def test_records_are_not_there_without_their_names(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_off(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(converting, "write_records", cut_off)
    with pytest.raises(KeyboardInterrupt):
        to_records(photographs, tmp_path / "records")
    monkeypatch.undo()
    assert not (tmp_path / "records" / "train.rec").exists()
    assert (tmp_path / "records" / "classes.txt").read_text().count("\n") == 16
    to_records(photographs, tmp_path / "records")
    assert own.load(tmp_path / "records").classes[0] == list_people(photographs).names[0]


def test_what_is_left_out_is_counted(photographs: Path, tmp_path: Path) -> None:
    (photographs / "person 1" / "1.png").write_bytes(b"damaged")
    for number in (2, 3):
        (photographs / "person 2" / f"{number}.png").write_bytes(encode_image(IMAGE.repeat(2, axis=0)))
    done = to_records(photographs, tmp_path / "records")
    assert done.written == 93
    assert dict(done.left_out) == {"cannot be read": 1, "of another size than 16 × 16 (--size scales them)": 2}
    scaled = to_records(photographs, tmp_path / "scaled", size=16)
    assert (scaled.written, dict(scaled.left_out)) == (95, {"cannot be read": 1})
    assert {tuple(RecordDataset(tmp_path / "scaled")[i][0].shape) for i in range(95)} == {(3, 16, 16)}
    with pytest.raises(ValueError, match="record files in it already"):
        to_records(photographs, tmp_path / "scaled")
    for path in photographs.glob("*/*"):
        path.write_bytes(b"damaged")
    with pytest.raises(ValueError, match="none of its images can be read"):
        to_records(photographs, tmp_path / "none")


def test_pairs_to_bin_and_back(photographs: Path, tmp_path: Path) -> None:
    names = [f"person {i}/{k}.png" for i in range(1, 17) for k in range(1, 4)]
    rows = [(a, b, int(a.split("/")[0] == b.split("/")[0])) for a, b in pairwise(names)]
    (tmp_path / "pairs.csv").write_text("left,right,same\n" + "".join(f"{a},{b},{s}\n" for a, b, s in rows))
    (photographs / "person 3" / "2.png").write_bytes(b"damaged")
    done = to_bin(tmp_path / "pairs.csv", tmp_path / "set.bin", photographs)
    assert (done.written, sum(done.left_out.values())) == (len(rows) - 2, 2)
    images, same = load_bin(tmp_path / "set.bin")
    assert (len(images), same.sum()) == (2 * len(same), sum(s for *_, s in rows) - 2)
    from_bin(tmp_path / "set.bin", tmp_path / "images")
    pairs = read_pairs(tmp_path / "images" / "pairs.csv")
    np.testing.assert_array_equal(pairs.same, same)
    again = to_bin(tmp_path / "images" / "pairs.csv", tmp_path / "again.bin")
    assert again.written == len(same)
    np.testing.assert_array_equal(load_bin(tmp_path / "again.bin")[0], images)


def test_pairs_are_drawn_from_people(photographs: Path, tmp_path: Path) -> None:
    done = to_bin(photographs, tmp_path / "set.bin", pairs=50)
    _, same = load_bin(tmp_path / "set.bin")
    assert (done.written, same.sum()) == (100, 50)
    to_bin(photographs, tmp_path / "again.bin", pairs=50)
    assert (tmp_path / "again.bin").read_bytes() == (tmp_path / "set.bin").read_bytes()
    (photographs / "person 2" / "3.png").write_bytes(encode_image(IMAGE.repeat(2, axis=0)))
    assert to_bin(photographs, tmp_path / "scaled.bin", pairs=50, size=12).written == 100
    assert load_bin(tmp_path / "scaled.bin")[0].shape[1:3] == (12, 12)


@pytest.mark.parametrize(("images", "people", "pairs"), [(40_000, 8_000, 3000), (5000, 2500, 2500), (12, 4, 100), (6, 2, 1000)])
def test_pairs_of_one_person_are_drawn_however_rare_they_are(images: int, people: int, pairs: int) -> None:
    labels = np.random.default_rng(0).permutation(np.arange(images) % people)
    drawn = converting._drawn(People(Path(), tuple(map(str, range(people))), tuple(map(str, range(images))), labels), pairs, 0)
    each = images // people
    expected = min(pairs, people * each * (each - 1) // 2, images * (images - each) // 2)
    assert (drawn.same.sum(), (~drawn.same).sum()) == (expected, expected)
    sides = [np.array(side, dtype=int) for side in (drawn.left, drawn.right)]
    np.testing.assert_array_equal(labels[sides[0]] == labels[sides[1]], drawn.same)
    assert len(np.unique(np.sort(sides, axis=0), axis=1).T) == 2 * expected, "none of them twice"


def test_every_pair_may_be_drawn() -> None:
    people = People(Path(), ("a", "b"), tuple("012345"), np.array([0, 0, 0, 1, 1, 1]))
    draws = [converting._drawn(people, 2, seed) for seed in range(200)]
    seen = {(same, *sorted(pair)) for d in draws for same, *pair in zip(d.same.tolist(), d.left, d.right, strict=True)}
    assert sum(same for same, *_ in seen) == 6
    assert len(seen) == 6 + 9


@pytest.mark.parametrize(("people", "each"), [(3, 1), (1, 3)])
def test_pairs_of_both_kinds_are_needed(people: int, each: int, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="people: it takes two people, and two images of one, to draw pairs"):
        to_bin(draw_people(tmp_path / "people", people, each), tmp_path / "set.bin")


def test_nobody_is_put_among_another_persons_images(tmp_path: Path) -> None:
    """A name that can be no folder's gives way to a number, which may be somebody's name."""
    names = ["1", ".x", "3", "a", "4", "a/b", "a_b"]
    (tmp_path / "list.csv").write_text("".join(f"{i}.png,{name}\n" for i, name in enumerate(names)))
    for i in range(len(names)):
        (tmp_path / f"{i}.png").write_bytes(encode_image(IMAGE))
    to_records(tmp_path / "list.csv", tmp_path / "records")
    again = to_people(tmp_path / "records", tmp_path / "again")
    found = list_people(tmp_path / "again")
    assert (again.people, len(found.names), len(found.paths)) == (7, 7, 7)
    assert {"1", "3", "4", "a"} < set(found.names)


def test_a_bin_with_a_damaged_image(tmp_path: Path) -> None:
    whole = encode_image(IMAGE)
    (tmp_path / "set.bin").write_bytes(pickle.dumps(([whole, whole, whole, b"damaged", whole, whole], [True, True, False])))
    done = from_bin(tmp_path / "set.bin", tmp_path / "images")
    assert (done.written, dict(done.left_out)) == (2, {"an image cannot be read": 1})
    assert len(read_pairs(tmp_path / "images" / "pairs.csv")) == 2
    assert not (tmp_path / "images" / "000003.png").exists()
